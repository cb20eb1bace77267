"""Confirmed notes that are looked at again, because a write that was in doubt may have arrived after all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from aiops_core.ticketing import RemoteRef
from aiops_host.data.session import Connection, Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubtful:
    """A confirmed note to look for again; ``reconciles`` counts the looks before this one."""

    tenant_id: UUID
    effect_id: UUID
    connection_id: UUID
    ticket_id: str
    reference: str
    first_attempt_at: datetime
    reconciles: int
    config_version: int


_DUE = """
select e.tenant_id, e.effect_id from effect e
join tenant t on t.tenant_id = e.tenant_id
join connection c on c.tenant_id = e.tenant_id and c.connection_id = e.connection_id
where e.reconcile_at <= now() and t.state = 'active' and c.state = 'active'
  and (c.wait_until is null or c.wait_until <= now())
order by e.reconcile_at
limit $1
"""

_CLAIM = """
update effect e set reconcile_at = clock_timestamp() + $3
where e.tenant_id = $1 and e.effect_id = $2 and e.reconcile_at <= clock_timestamp() and e.state = 'confirmed'
returning e.connection_id, e.ticket_id, e.reference, e.first_attempt_at, e.reconciles,
    (select c.config_version from connection c
     where c.tenant_id = e.tenant_id and c.connection_id = e.connection_id) as config_version
"""


async def due(con: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of effects to look at again; ``con`` is the sweeper's."""
    return [(r["tenant_id"], r["effect_id"]) for r in await con.fetch(_DUE, limit)]


async def claim(database: Database, tenant_id: UUID, effect_id: UUID, *, hold: timedelta) -> Doubtful | None:
    """Take an effect for one look; it is due again after ``hold`` should the look not come to its end."""
    async with database.tenant(tenant_id) as con:
        row = await con.fetchrow(_CLAIM, tenant_id, effect_id, hold)
    return None if row is None else Doubtful(tenant_id=tenant_id, effect_id=effect_id, **dict(row))


async def finish(
    con: Connection, looked: Doubtful, *, again: timedelta | None, kept: RemoteRef | None = None, reason: str | None
) -> None:
    """End one look, inside the caller's tenant session.

    Args:
        con: The session's connection.
        looked: What was looked at.
        again: When to look next; ``None``: never.
        kept: The note that stays, when one was found.
        reason: What a person has to do, in plain language; ``None``: nothing.
    """
    await con.execute(
        "update effect set reconciles = reconciles + 1, reconcile_at = clock_timestamp() + $3, reason = $4, "
        "remote_id = coalesce($5, remote_id), remote_url = coalesce($6, remote_url) "
        "where tenant_id = $1 and effect_id = $2 and state = 'confirmed'",
        looked.tenant_id,
        looked.effect_id,
        again,
        reason,
        kept.id if kept else None,
        kept.url if kept else None,
    )
