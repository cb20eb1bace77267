"""Effects: one intended write to a ticket each, from plan to confirmation. All times are PostgreSQL's."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import msgspec

from aiops_core.markers import new_reference
from aiops_core.ticketing import RemoteRef
from aiops_core.tickets import Enhancement
from aiops_host.data.claims import DeliveryClaim, LeaseLost, release_ticket
from aiops_host.data.session import Connection, Database

EffectState = Literal["planned", "sending", "unknown", "confirmed", "parked", "dead"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectClaim:
    """An effect held by this worker.

    ``state`` is the one it was found in, ``checks`` counts looks since the last write, and ``held_since`` is a
    moment of ``time.monotonic`` no later than the start of the lease.
    """

    tenant_id: UUID
    effect_id: UUID
    connection_id: UUID
    ticket_id: str
    delivery_id: UUID
    run_id: UUID
    reference: str
    enhancement: Enhancement
    state: EffectState
    attempt: int
    checks: int
    first_attempt_at: datetime | None
    token: int
    config_version: int
    traceparent: str | None
    held_since: float


@dataclass(frozen=True, slots=True)
class Planned:
    """The effect of a delivery: the new one, or the one that was there."""

    effect_id: UUID
    state: EffectState
    fresh: bool


async def plan(con: Connection, claim: DeliveryClaim, run_id: UUID, enhancement: Enhancement) -> Planned:
    """Store the note to write, inside the caller's tenant session; the logical key is the delivery.

    A note already planned, sent or confirmed for this delivery stays as it is. One that was refused for good is
    replaced: it certainly is not on the ticket. One that was parked is looked for again.
    """
    body = msgspec.json.encode(enhancement)
    key = str(claim.delivery_id) if not claim.post_again else f"{claim.delivery_id}#{claim.post_again}"
    row = await con.fetchrow(
        """
        insert into effect as e (tenant_id, effect_id, connection_id, ticket_id, logical_key, delivery_id, run_id,
                                 reference, body, body_hash, state)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'planned')
        on conflict (tenant_id, connection_id, ticket_id, kind, logical_key) do update
            set body = excluded.body, body_hash = excluded.body_hash, run_id = excluded.run_id, state = 'planned',
                reason = null, due_at = clock_timestamp(), lease_until = null
            where e.state = 'dead'
        returning e.effect_id, e.state
        """,
        claim.tenant_id,
        uuid4(),
        claim.connection_id,
        claim.ticket_id,
        key,
        claim.delivery_id,
        run_id,
        new_reference(),
        body,
        hashlib.sha256(body).digest(),
    )
    if row is not None:
        return Planned(row["effect_id"], row["state"], fresh=True)
    kept = await con.fetchrow(
        "update effect set state = case when state = 'parked' then 'unknown' else state end, "
        "checks = case when state = 'parked' then 0 else checks end, "
        "due_at = case when state = 'parked' then clock_timestamp() else due_at end "
        "where tenant_id = $1 and connection_id = $2 and ticket_id = $3 and kind = 'note' and logical_key = $4 "
        "returning effect_id, state",
        claim.tenant_id,
        claim.connection_id,
        claim.ticket_id,
        key,
    )
    return Planned(kept["effect_id"], kept["state"], fresh=False)


# By ``not in`` the planner cannot take the index of open effects instead of the key; see ``claims``.
_CLAIM = """
update effect e
set lease_token = e.lease_token + 1, lease_until = clock_timestamp() + $3, worker = $4,
    attempt = e.attempt + (free.first)::int,
    first_attempt_at = coalesce(e.first_attempt_at, clock_timestamp()),
    checks = case when e.state = 'sending' then 0 else e.checks end,
    state = case when free.first then 'sending' when e.state = 'planned' then 'planned' else 'unknown' end
from (
    select x.tenant_id, x.effect_id, x.state as was, x.state = 'planned' and x.attempt = 0 as first
    from effect x
    where x.tenant_id = $1 and x.effect_id = $2 and x.state not in ('confirmed', 'parked', 'dead')
      and x.due_at <= clock_timestamp() and (x.lease_until is null or x.lease_until < clock_timestamp())
    for update skip locked
) free
where e.tenant_id = free.tenant_id and e.effect_id = free.effect_id
returning e.*, free.first,
    (select c.config_version from connection c
     where c.tenant_id = e.tenant_id and c.connection_id = e.connection_id) as config_version,
    (select d.traceparent from delivery d
     where d.tenant_id = e.tenant_id and d.delivery_id = e.delivery_id) as traceparent
"""


async def claim(
    database: Database, tenant_id: UUID, effect_id: UUID, *, worker: str, lease: timedelta
) -> EffectClaim | None:
    """Take an effect that is due and held by nobody; a first write is marked as being sent in the same commit."""
    held_since = time.monotonic()
    row = await database.together(tenant_id, lambda con: con.fetchrow(_CLAIM, tenant_id, effect_id, lease, worker))
    if row is None:
        return None
    return EffectClaim(
        tenant_id=tenant_id,
        effect_id=effect_id,
        connection_id=row["connection_id"],
        ticket_id=row["ticket_id"],
        delivery_id=row["delivery_id"],
        run_id=row["run_id"],
        reference=row["reference"],
        enhancement=msgspec.json.decode(row["body"], type=Enhancement),
        state=row["state"],
        attempt=row["attempt"],
        checks=row["checks"],
        first_attempt_at=row["first_attempt_at"],
        token=row["lease_token"],
        config_version=row["config_version"],
        traceparent=row["traceparent"],
        held_since=held_since,
    )


async def renew(database: Database, claim: EffectClaim, lease: timedelta) -> bool:
    """Hold the claim for another lease; False when it is lost."""
    async with database.tenant(claim.tenant_id) as con:
        changed = await con.execute(
            "update effect set lease_until = clock_timestamp() + $4 "
            "where tenant_id = $1 and effect_id = $2 and lease_token = $3 and lease_until is not null",
            claim.tenant_id,
            claim.effect_id,
            claim.token,
            lease,
        )
    return bool(changed == "UPDATE 1")


async def begin_send(database: Database, claim: EffectClaim, lease: timedelta) -> EffectClaim:
    """Commit that a further write starts now, under a new lease.

    Raises:
        LeaseLost: The claim is not ours any more.
    """
    held_since = time.monotonic()
    async with database.tenant(claim.tenant_id) as con:
        changed = await con.execute(
            "update effect set state = 'sending', attempt = attempt + 1, checks = 0, "
            "lease_until = clock_timestamp() + $4 where tenant_id = $1 and effect_id = $2 and lease_token = $3 "
            "and state in ('planned', 'unknown')",
            claim.tenant_id,
            claim.effect_id,
            claim.token,
            lease,
        )
    if changed != "UPDATE 1":
        raise LeaseLost
    return replace(claim, attempt=claim.attempt + 1, state="sending", held_since=held_since)


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """A note that is on its ticket: seconds since its webhook, whether a person asked for it, who wrote it where."""

    age_seconds: float
    replayed: bool
    agent: str
    ticketing_tool: str


_CONFIRM = """
with confirmed as (
    update effect set state = 'confirmed', reason = null, remote_id = $4, remote_url = $5, lease_until = null,
        confirmed_at = clock_timestamp(), reconcile_at = clock_timestamp() + $6, reconciles = 0
    where tenant_id = $1 and effect_id = $2 and lease_token = $3 and state not in ('confirmed', 'parked', 'dead')
    returning tenant_id, connection_id, ticket_id, delivery_id, run_id
), done as (
    update delivery d set state = 'done', reason = null, finished_at = clock_timestamp()
    from confirmed e where d.tenant_id = e.tenant_id and d.delivery_id = e.delivery_id
      and d.state in ('posting', 'parked', 'dead')
), released as (
    update delivery d set due_at = clock_timestamp()
    from confirmed e where d.tenant_id = e.tenant_id and d.connection_id = e.connection_id
      and d.ticket_id = e.ticket_id and d.state = 'queued' and d.attempt = 0 and d.due_at > clock_timestamp()
)
select extract(epoch from clock_timestamp() - d.received_at)::float8 as age_seconds, d.trigger = 'manual' as replayed,
       r.agent, c.ticketing_tool
from confirmed e
join delivery d on d.tenant_id = e.tenant_id and d.delivery_id = e.delivery_id
join run r on r.tenant_id = e.tenant_id and r.run_id = e.run_id
join connection c on c.tenant_id = d.tenant_id and c.connection_id = d.connection_id
"""


async def confirm(
    database: Database, claim: EffectClaim, ref: RemoteRef, *, look_again: timedelta | None = None
) -> Confirmed:
    """Record that the note is on the ticket and the delivery is done; ``look_again`` after that time, if given.

    The ticket's next delivery is due at once.

    Raises:
        LeaseLost: The claim is not ours any more.
    """
    facts = (claim.tenant_id, claim.effect_id, claim.token, ref.id, ref.url, look_again)
    row = await database.together(claim.tenant_id, lambda con: con.fetchrow(_CONFIRM, *facts))
    if row is None:
        raise LeaseLost
    return Confirmed(**dict(row))


async def postpone(
    con: Connection, claim: EffectClaim, *, state: EffectState, delay: timedelta, reason: str, looked: bool = False
) -> None:
    """Give the effect back in ``state``, due after ``delay``; inside the caller's tenant session.

    Raises:
        LeaseLost: The claim is not ours any more.
    """
    await _settle(
        con,
        claim,
        "state = $4, due_at = clock_timestamp() + $5, reason = $6, checks = checks + $7::int",
        state,
        delay,
        reason,
        int(looked),
    )


async def give_up(con: Connection, claim: EffectClaim, *, state: Literal["parked", "dead"], reason: str) -> None:
    """End the effect, and its delivery with it, for a person to look at; inside the caller's tenant session.

    Raises:
        LeaseLost: The claim is not ours any more.
    """
    await _settle(con, claim, "state = $4, reason = $5", state, reason)
    await _delivery(con, claim, state, reason)


async def _settle(con: Connection, claim: EffectClaim, assignments: str, *values: object) -> None:
    changed = await con.execute(
        f"update effect set {assignments}, lease_until = null "  # noqa: S608 - constants of this module only
        "where tenant_id = $1 and effect_id = $2 and lease_token = $3 and state not in ('confirmed', 'parked', 'dead')",
        claim.tenant_id,
        claim.effect_id,
        claim.token,
        *values,
    )
    if changed != "UPDATE 1":
        raise LeaseLost


async def _delivery(con: Connection, claim: EffectClaim, state: str, reason: str | None) -> None:
    await con.execute(
        "update delivery set state = $3, reason = $4, finished_at = clock_timestamp() "
        "where tenant_id = $1 and delivery_id = $2 and state in ('posting', 'parked', 'dead')",
        claim.tenant_id,
        claim.delivery_id,
        state,
        reason,
    )
    await release_ticket(con, claim.tenant_id, claim.connection_id, claim.ticket_id)
