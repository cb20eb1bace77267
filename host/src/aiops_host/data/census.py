"""How much waits and how old it is, over all tenants, as the sweeper may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiops_host.data.session import Connection

_CENSUS = """
select (select count(*) from delivery where state in ('queued', 'running', 'posting')) as depth,
       (select coalesce(extract(epoch from clock_timestamp() - min(received_at)), 0)::float8 from delivery
        where state in ('queued', 'running', 'posting')) as oldest_seconds,
       (select count(*) from effect where state = 'unknown') as unknown_effects,
       (select count(*) from effect where state = 'parked') as parked_effects,
       (select count(*) from delivery where state = 'quarantined') as quarantined,
       (select array_agg(tenant_id::text order by tenant_id) from tenant where state = 'active') as tenants
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Census:
    """Counts over all tenants."""

    depth: int
    oldest_seconds: float
    unknown_effects: int
    parked_effects: int
    quarantined: int
    tenants: list[str]


async def take(con: Connection) -> Census:
    """Count; ``con`` is the sweeper's."""
    row: dict[str, Any] = dict(await con.fetchrow(_CENSUS))
    return Census(**{**row, "tenants": row["tenants"] or []})
