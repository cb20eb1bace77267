"""Deliveries as work: what is due, who holds it, how it ends. All times are PostgreSQL's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from aiops_core.errors import AiopsError
from aiops_host.data.session import Connection, Database

WorkKind = Literal["delivery", "effect"]
BUSY_TICKET_DELAY = timedelta(seconds=1)


class LeaseLost(AiopsError):
    """Another worker holds this work by now; what was done is dropped."""


class Quarantined(AiopsError):
    """The delivery's workers died too often; it waits for a person."""


@dataclass(frozen=True, slots=True)
class Due:
    """Work that may be claimed. A ``suspect`` saw two workers die: it may be what kills them."""

    kind: WorkKind
    tenant_id: UUID
    id: UUID
    suspect: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryClaim:
    """A delivery held by this worker. ``token`` fences every later write; ``tries`` counts since the last replay.

    ``recent_notes`` counts notes planned on its ticket within an hour by other deliveries.
    """

    tenant_id: UUID
    delivery_id: UUID
    connection_id: UUID
    ticket_id: str
    action: Literal["run", "learn", "none"]
    attempt: int
    tries: int
    token: int
    dry_run: bool
    post_again: int
    trigger: str
    traceparent: str | None
    age_seconds: float
    config_version: int
    settings_version: int
    recent_notes: int


_DUE = """
select kind, tenant_id, id, suspect from (
    select w.kind, w.tenant_id, w.id, w.due_at, w.suspect,
           row_number() over (partition by w.tenant_id order by w.due_at) + h.held as place
    from tenant t
    cross join lateral (
        select count(*) as held from delivery r where r.tenant_id = t.tenant_id and r.state = 'running'
    ) h
    cross join lateral (
        (select 'delivery' as kind, d.tenant_id, d.delivery_id as id, d.due_at, d.connection_id, false as suspect
         from delivery d
         where d.tenant_id = t.tenant_id and d.state = 'queued' and d.due_at <= now() order by d.due_at limit $1)
        union all
        (select 'delivery', d.tenant_id, d.delivery_id, d.due_at, d.connection_id, d.crashes > 0
         from delivery d
         where d.tenant_id = t.tenant_id and d.state = 'running' and d.lease_until < now()
           and ($2 or d.crashes = 0) order by d.lease_until limit $1)
        union all
        (select 'effect', e.tenant_id, e.effect_id, e.due_at, e.connection_id, false from effect e
         where e.tenant_id = t.tenant_id and e.state in ('planned', 'sending', 'unknown') and e.due_at <= now()
           and (e.lease_until is null or e.lease_until < now()) order by e.due_at limit $1)
    ) w
    join connection c on c.tenant_id = w.tenant_id and c.connection_id = w.connection_id
    where t.state = 'active' and c.state = 'active' and (c.wait_until is null or c.wait_until <= now())
) ranked
order by place, due_at
limit $1
"""

# By ``is not distinct from`` the planner cannot take the index of unfinished deliveries, which for a tenant it knows to
# be small looks as good as the key: every claim then read all that waited, dead versions too.
_CLAIM = """
with claimed as (
update delivery d
set state = 'running', attempt = d.attempt + 1, tries = d.tries + 1,
    crashes = d.crashes + (d.state = 'running' and d.worker is distinct from $4)::int, lease_token = d.lease_token + 1,
    lease_until = clock_timestamp() + $3, worker = $4, reason = null
from (
    select x.tenant_id, x.delivery_id from delivery x
    join tenant t on t.tenant_id = x.tenant_id and t.state = 'active'
    join connection c on c.tenant_id = x.tenant_id and c.connection_id = x.connection_id and c.state = 'active'
    where x.tenant_id = $1 and x.delivery_id = $2
      and (x.state is not distinct from 'queued' and x.due_at <= clock_timestamp()
           or x.state is not distinct from 'running' and x.lease_until < clock_timestamp())
    for update of x skip locked
) free
where d.tenant_id = free.tenant_id and d.delivery_id = free.delivery_id
returning d.connection_id, coalesce(d.ticket_id, '') as ticket_id, d.action, d.attempt, d.tries, d.crashes,
          d.lease_token, d.dry_run, d.post_again, d.trigger, d.traceparent,
          (select c.config_version from connection c
           where c.tenant_id = d.tenant_id and c.connection_id = d.connection_id) as config_version,
          (select coalesce(sum(p.version), 0)::int from plugin_setting p
           where p.tenant_id = d.tenant_id) as settings_version,
          (select count(*)::int from effect e
           where e.tenant_id = d.tenant_id and e.connection_id = d.connection_id and e.ticket_id = d.ticket_id
             and e.delivery_id <> d.delivery_id
             and e.planned_at > clock_timestamp() - interval '1 hour') as recent_notes,
          extract(epoch from clock_timestamp() - d.received_at)::float8 as age_seconds
), begun as (
    insert into attempt (tenant_id, delivery_id, number, trigger, worker)
    select $1, $2, attempt, trigger, $4 from claimed where crashes < $5
)
select * from claimed
"""

# Joined to what was moved, the attempt was looked for among all first attempts as long as statistics were young.
_MOVE = """
with moved as (
    update delivery set state = $4, reason = $5, lease_until = null, crashes = 0,
        finished_at = case when $4 = 'posting' then null else clock_timestamp() end
    where tenant_id = $1 and delivery_id = $2 and lease_token = $3 and state is not distinct from 'running'
    returning 1
), ended as (
    update attempt set finished_at = clock_timestamp(), outcome = $7, reason = $5
    where tenant_id = $1 and delivery_id = $2 and number = $6 and exists (select from moved)
)
select count(*) from moved
"""

_RESTORE = """
update delivery
set state = before_dry_run->>'state', reason = before_dry_run->>'reason', action = before_dry_run->>'action',
    trigger = before_dry_run->>'trigger', finished_at = (before_dry_run->>'finished_at')::timestamptz, dry_run = false,
    before_dry_run = null
where tenant_id = $1 and delivery_id = any($2::uuid[]) and before_dry_run is not null
"""


async def due(con: Connection, limit: int, *, suspects: bool = True) -> list[Due]:
    """Return due work, tenants taking turns; those with least running come first. ``con`` is the sweeper's.

    What a dead worker held keeps its place before what came later.
    """
    rows = await con.fetch(_DUE, limit, suspects)
    return [Due(r["kind"], r["tenant_id"], r["id"], r["suspect"]) for r in rows]


async def claim(
    database: Database, tenant_id: UUID, delivery_id: UUID, *, worker: str, lease: timedelta, max_crashes: int
) -> DeliveryClaim | None:
    """Take a delivery that is due or whose worker died; ``None`` when it is not to be had.

    One whose ticket is being worked on waits a moment. A worker that takes over from itself did not die: it was too
    busy to renew its lease.

    Raises:
        Quarantined: Its workers died ``max_crashes`` times; it is in quarantine now.
    """

    async def work(con: Connection) -> Any:
        row = await con.fetchrow(_CLAIM, tenant_id, delivery_id, lease, worker, max_crashes)
        if row is not None and row["crashes"] >= max_crashes:
            await _quarantine(con, tenant_id, delivery_id, row["crashes"])
        elif row is not None and row["attempt"] > 1:
            await _end_broken_attempts(con, tenant_id, delivery_id, row["attempt"])
        return row

    try:
        row = await database.together(tenant_id, work)
    except asyncpg.UniqueViolationError:
        await _postpone(database, tenant_id, delivery_id)
        return None
    if row is None:
        return None
    if row["crashes"] >= max_crashes:
        raise Quarantined
    facts = {k: v for k, v in row.items() if k not in {"crashes", "lease_token"}}
    return DeliveryClaim(tenant_id=tenant_id, delivery_id=delivery_id, token=row["lease_token"], **facts)


async def renew(database: Database, tenant_id: UUID, held: Sequence[DeliveryClaim], lease: timedelta) -> set[UUID]:
    """Hold one tenant's claims for another lease, all in one statement; return the deliveries still held."""
    async with database.tenant(tenant_id) as con:
        rows = await con.fetch(
            "update delivery d set lease_until = clock_timestamp() + $4 "
            "from unnest($2::uuid[], $3::bigint[]) as h(delivery_id, token) "
            "where d.tenant_id = $1 and d.delivery_id = h.delivery_id and d.lease_token = h.token "
            "and d.state = 'running' returning d.delivery_id",
            tenant_id,
            [claim.delivery_id for claim in held],
            [claim.token for claim in held],
            lease,
        )
    return {row["delivery_id"] for row in rows}


async def move(con: Connection, claim: DeliveryClaim, *, state: str, outcome: str, reason: str | None = None) -> None:
    """End the attempt and leave the delivery in ``state``, after a dry run as it was before; inside the caller's session.

    Raises:
        LeaseLost: The claim is not ours any more; nothing was changed.
    """
    moved = await con.fetchval(_MOVE, *_held(claim), state, reason, claim.attempt, outcome)
    if not moved:
        raise LeaseLost
    if claim.dry_run:
        await restore(con, claim.tenant_id, [claim.delivery_id])


async def restore(con: Connection, tenant_id: UUID, delivery_ids: Sequence[UUID]) -> None:
    """Let deliveries whose dry run has ended stand as they did before it; inside the caller's tenant session."""
    await con.execute(_RESTORE, tenant_id, delivery_ids)


async def requeue(con: Connection, claim: DeliveryClaim, *, delay: timedelta, reason: str, counts: bool = True) -> None:
    """End the attempt and try again after ``delay``; inside the caller's tenant session.

    Args:
        con: The session's connection.
        claim: The claim to give back.
        delay: How long to wait.
        reason: Why, in plain language.
        counts: Whether this try counts towards giving up.

    Raises:
        LeaseLost: The claim is not ours any more; nothing was changed.
    """
    changed = await con.execute(
        "update delivery set state = 'queued', reason = $4, lease_until = null, crashes = 0, tries = tries - $6::int, "
        "due_at = clock_timestamp() + $5 "
        "where tenant_id = $1 and delivery_id = $2 and lease_token = $3 and state is not distinct from 'running'",
        claim.tenant_id,
        claim.delivery_id,
        claim.token,
        reason,
        delay,
        0 if counts else 1,
    )
    if changed != "UPDATE 1":
        raise LeaseLost
    await _end_attempt(con, claim, "retry", reason)


async def release_ticket(con: Connection, tenant_id: UUID, connection_id: UUID, ticket_id: str) -> None:
    """Make the next delivery of the ticket due at once; inside the caller's tenant session."""
    await con.execute(
        "update delivery set due_at = clock_timestamp() where tenant_id = $1 and connection_id = $2 "
        "and ticket_id = $3 and state = 'queued' and attempt = 0 and due_at > clock_timestamp()",
        tenant_id,
        connection_id,
        ticket_id,
    )


async def hold_connection(con: Connection, connection_id: UUID, tenant_id: UUID, wait: timedelta) -> None:
    """Let no work of the connection start before ``wait`` has passed: its ticketing tool asked for it."""
    await con.execute(
        "update connection set wait_until = greatest(wait_until, clock_timestamp() + $3) "
        "where tenant_id = $1 and connection_id = $2",
        tenant_id,
        connection_id,
        wait,
    )


async def pause_connection(con: Connection, connection_id: UUID, tenant_id: UUID, reason: str) -> bool:
    """Pause the connection; True when it was active until now."""
    changed = await con.execute(
        "update connection set state = 'paused', state_reason = $3 "
        "where tenant_id = $1 and connection_id = $2 and state = 'active'",
        tenant_id,
        connection_id,
        reason,
    )
    return bool(changed == "UPDATE 1")


def _held(claim: DeliveryClaim) -> tuple[UUID, UUID, int]:
    return claim.tenant_id, claim.delivery_id, claim.token


async def _quarantine(con: Connection, tenant_id: UUID, delivery_id: UUID, crashes: int) -> None:
    await con.execute(
        "update delivery set state = 'quarantined', lease_until = null, finished_at = clock_timestamp(), reason = $3 "
        "where tenant_id = $1 and delivery_id = $2",
        tenant_id,
        delivery_id,
        f"Its worker died {crashes} times while working on it; replay it once the cause is found.",
    )
    await restore(con, tenant_id, [delivery_id])


async def _end_broken_attempts(con: Connection, tenant_id: UUID, delivery_id: UUID, present: int) -> None:
    await con.execute(
        "update attempt set finished_at = clock_timestamp(), outcome = 'crashed', reason = 'its worker died' "
        "where tenant_id = $1 and delivery_id = $2 and number < $3 and finished_at is null",
        tenant_id,
        delivery_id,
        present,
    )


async def _postpone(database: Database, tenant_id: UUID, delivery_id: UUID) -> None:
    async with database.tenant(tenant_id) as con:
        await con.execute(
            "update delivery set due_at = clock_timestamp() + $3 "
            "where tenant_id = $1 and delivery_id = $2 and state = 'queued'",
            tenant_id,
            delivery_id,
            BUSY_TICKET_DELAY,
        )


async def _end_attempt(con: Connection, claim: DeliveryClaim, outcome: str, reason: str | None) -> None:
    await con.execute(
        "update attempt set finished_at = clock_timestamp(), outcome = $4, reason = $5 "
        "where tenant_id = $1 and delivery_id = $2 and number = $3",
        claim.tenant_id,
        claim.delivery_id,
        claim.attempt,
        outcome,
        reason,
    )
