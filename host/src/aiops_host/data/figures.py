"""How well it goes: counts and times of one tenant over the last day, and the state of its connections."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from aiops_host.data.connections import PROBE
from aiops_host.data.session import Database

WINDOW_HOURS = 24

ConnectionStatus = Literal["ok", "untried", "waiting", "failing", "paused"]
"""``untried``: nothing was read or written there yet; ``waiting``: its ticketing tool asked to wait; ``failing``: what
is tried there does not succeed at present."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's counts. All but ``waiting`` and ``oldest_seconds`` are of webhooks received in the last day.

    ``ended`` are deliveries that asked for a note and came to an end, ``posted`` those of them whose note is on the
    ticket. ``slowest_seconds`` is the 95th percentile from webhook to note, ``None`` while there is no note.
    """

    ended: int
    posted: int
    slowest_seconds: float | None
    waiting: int
    oldest_seconds: float
    needs_attention: int
    active: bool


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A connection and whether its work gets through. ``reason`` says in plain language what is in the way.

    ``last_webhook_at`` and ``last_note_at`` look back a day; ``waiting`` counts unfinished deliveries, ``given_up``
    those of the last day that need a person.
    """

    id: UUID
    name: str
    ticketing_tool: str
    status: ConnectionStatus
    reason: str | None
    wait_until: datetime | None
    last_webhook_at: datetime | None
    last_note_at: datetime | None
    waiting: int
    given_up: int


_RECENT = f"""
    select tenant_id, delivery_id, connection_id, received_at,
           coalesce(before_dry_run->>'state', state) as state, coalesce(before_dry_run->>'reason', reason) as reason,
           coalesce(before_dry_run->>'action', action) as action, coalesce(before_dry_run->>'trigger', trigger) as trigger,
           coalesce((before_dry_run->>'finished_at')::timestamptz, finished_at) as finished_at
    from delivery where received_at > clock_timestamp() - interval '{WINDOW_HOURS} hours'
"""  # noqa: S608 - a constant
_UNFINISHED = "state in ('queued', 'running', 'posting')"
_TROUBLED = "state in ('dead', 'parked', 'quarantined')"

_COUNTS = f"""
with recent as ({_RECENT}), asked as (select * from recent where action = 'run')
select (select count(*) from asked where state = 'done' or {_TROUBLED})::int as ended,
       (select count(*) from asked where state = 'done')::int as posted,
       (select percentile_cont(0.95) within group (order by extract(epoch from e.confirmed_at - a.received_at)::float8)
        from asked a join effect e on e.tenant_id = a.tenant_id and e.delivery_id = a.delivery_id
        where e.state = 'confirmed' and a.trigger = 'scheduled') as slowest_seconds,
       (select count(*) from delivery where {_UNFINISHED})::int as waiting,
       (select coalesce(extract(epoch from clock_timestamp() - min(received_at)), 0)::float8
        from delivery where {_UNFINISHED}) as oldest_seconds,
       (select count(*) from recent where {_TROUBLED})::int as needs_attention,
       coalesce((select state = 'active' from tenant), false) as active
"""  # noqa: S608 - constants

# Each leaves a trace of a call that succeeded: who we are there, an import, a note, or work that ended well.
_REACHED = """(
    c.account_id is not null or x.state = 'ok'
    or exists (select from history_import i where i.connection_id = c.connection_id and i.tickets > 0)
    or exists (select from effect e where e.tenant_id = c.tenant_id and e.connection_id = c.connection_id)
    or exists (select from recent r where r.connection_id = c.connection_id and r.state = 'done' and r.action <> 'none')
)"""

_TEST_FAILED = """(
    x.state = 'failed'
    and not exists (select from recent r where r.connection_id = c.connection_id and r.state = 'done'
                    and r.action <> 'none' and r.finished_at > x.finished_at)
    and not exists (select from history_import i where i.connection_id = c.connection_id
                    and i.finished_at > x.finished_at)
)"""

_CONNECTIONS = f"""
with recent as ({_RECENT}),
open_trouble as (
    select connection_id, reason, due_at from delivery where state = 'queued' and tries > 0 and reason is not null
    union all
    select connection_id, reason, due_at from effect where state in ('planned', 'unknown') and reason is not null
),
last_end as (
    select distinct on (connection_id) connection_id, state, reason from recent
    where action = 'run' and (state = 'done' or {_TROUBLED}) order by connection_id, finished_at desc
),
last_test as (
    select distinct on (target) target, state, result, finished_at from probe
    where kind = '{PROBE}' and state in ('ok', 'failed') order by target, asked_at desc
)
select c.connection_id as id, c.name, c.ticketing_tool,
       case when c.state = 'paused' then 'paused'
            when c.wait_until > clock_timestamp() then 'waiting'
            when t.reason is not null or l.state in ('dead', 'parked') or {_TEST_FAILED} then 'failing'
            when {_REACHED} then 'ok'
            else 'untried' end as status,
       case when c.state = 'paused' then c.state_reason
            else coalesce(t.reason, case when l.state in ('dead', 'parked') then l.reason end,
                          case when {_TEST_FAILED} then x.result end) end as reason,
       case when c.wait_until > clock_timestamp() then c.wait_until end as wait_until,
       (select max(r.received_at) from recent r where r.connection_id = c.connection_id) as last_webhook_at,
       (select max(e.confirmed_at) from recent r join effect e
            on e.tenant_id = r.tenant_id and e.delivery_id = r.delivery_id
        where r.connection_id = c.connection_id) as last_note_at,
       (select count(*) from delivery d where d.connection_id = c.connection_id and {_UNFINISHED})::int as waiting,
       (select count(*) from recent r where r.connection_id = c.connection_id and {_TROUBLED})::int as given_up
from connection c
left join lateral (
    select o.reason from open_trouble o where o.connection_id = c.connection_id order by o.due_at desc limit 1
) t on true
left join last_end l on l.connection_id = c.connection_id
left join last_test x on x.target = c.connection_id::text
where c.state <> 'deleted'
order by c.name
"""  # noqa: S608 - constants


async def counts(database: Database, tenant_id: UUID) -> Counts:
    """Return the tenant's counts."""
    async with database.tenant(tenant_id) as con:
        return Counts(**dict(await con.fetchrow(_COUNTS)))


async def connections(database: Database, tenant_id: UUID) -> list[ConnectionHealth]:
    """Return the tenant's connections by name, each with what is in its way."""
    async with database.tenant(tenant_id) as con:
        return [ConnectionHealth(**dict(row)) for row in await con.fetch(_CONNECTIONS)]
