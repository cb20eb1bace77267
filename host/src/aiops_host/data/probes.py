"""What only a worker may try, because only there credentials open: asked for here, answered in one sentence.

To add a kind of probe: write a function ``(workshop, tenant_id, target) -> Outcome`` in ``aiops_host.work`` and give it a
name in ``aiops_host.work.probe_registry.KINDS``. Ask for one with :func:`ask` inside the session that stores what is to be
tried, announce it with ``parts.wakes.announce(probes.WAKE, probe_id)`` after the commit, and let people read it with
``GET /api/v1/probes/{id}``; a command waits with ``aiops_host.cli.asking``. One kind is between a command and
a worker only and answers JSON: ``aiops_host.data.history_imports.PROBE``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID, uuid4

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data.session import Connection, Database

ProbeState = Literal["queued", "running", "ok", "failed"]

WAKE: Final = UUID(int=0)
"""Stands in place of the tenant in a wake-up that announces a probe instead of a delivery."""
OPEN = ("queued", "running")
MOST_TRIES = 3
KEPT = timedelta(days=1)
LOOK_SECONDS = 0.2


class UnknownProbe(AiopsError):
    """There is no such test."""


class ProbeUnanswered(AiopsError):
    """No worker answered in time; the workers' logs say what they do."""


class ProbeView(msgspec.Struct, frozen=True, kw_only=True):
    """A test made by a worker. ``result`` is one sentence once ``state`` is ``ok`` or ``failed``."""

    id: UUID
    kind: str
    target: str
    state: ProbeState
    result: str | None
    asked_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProbeClaim:
    """A probe held by this worker."""

    tenant_id: UUID
    probe_id: UUID
    kind: str
    target: str
    token: int


_COLUMNS = "probe_id as id, kind, target, state, result, asked_at, finished_at"

_CLAIM = """
update probe p set state = 'running', tries = p.tries + 1, lease_token = p.lease_token + 1,
    lease_until = clock_timestamp() + $3, worker = $4
from (
    select x.tenant_id, x.probe_id from probe x
    where x.tenant_id = $1 and x.probe_id = $2
      and (x.state = 'queued' or x.state = 'running' and x.lease_until < clock_timestamp())
    for update skip locked
) free
where p.tenant_id = free.tenant_id and p.probe_id = free.probe_id
returning p.kind, p.target, p.lease_token, p.tries
"""


async def ask(con: Connection, tenant_id: UUID, kind: str, target: str) -> UUID:
    """Ask for a probe, inside the caller's tenant session; answers older than a day are forgotten."""
    probe_id = uuid4()
    await con.execute(
        "delete from probe where tenant_id = $1 and kind = $2 and finished_at < clock_timestamp() - $3::interval",
        tenant_id,
        kind,
        KEPT,
    )
    await con.execute(
        "insert into probe (tenant_id, probe_id, kind, target) values ($1, $2, $3, $4)",
        tenant_id,
        probe_id,
        kind,
        target,
    )
    return probe_id


async def latest(con: Connection, kind: str) -> dict[str, ProbeView]:
    """Return the newest probe of each target, inside the caller's tenant session."""
    rows = await con.fetch(
        f"select distinct on (target) {_COLUMNS} from probe where kind = $1 order by target, asked_at desc",  # noqa: S608 - constant
        kind,
    )
    return {row["target"]: ProbeView(**dict(row)) for row in rows}


async def forget(con: Connection, kind: str, target: str) -> None:
    """Forget what tests of a target said, inside the caller's tenant session: it is no longer what they tried."""
    await con.execute(
        "delete from probe where kind = $1 and target = $2 and state <> all($3::text[])", kind, target, list(OPEN)
    )


async def show(database: Database, tenant_id: UUID, probe_id: UUID) -> ProbeView:
    """Return one probe.

    Raises:
        UnknownProbe: The tenant has none of that id.
    """
    async with database.tenant(tenant_id) as con:
        row = await con.fetchrow(f"select {_COLUMNS} from probe where probe_id = $1", probe_id)  # noqa: S608 - constant
    if row is None:
        raise UnknownProbe
    return ProbeView(**dict(row))


async def answered(database: Database, tenant_id: UUID, probe_id: UUID, *, within: float) -> ProbeView:
    """Wait until a probe is answered, for ``within`` seconds.

    Raises:
        UnknownProbe: The tenant has none of that id.
        ProbeUnanswered: No worker answered in time.
    """
    try:
        async with asyncio.timeout(within):
            while (found := await show(database, tenant_id, probe_id)).state in OPEN:  # noqa: ASYNC110 - a worker answers
                await asyncio.sleep(LOOK_SECONDS)
            return found
    except TimeoutError:
        raise ProbeUnanswered from None


async def withdraw(database: Database, tenant_id: UUID, probe_id: UUID) -> None:
    """Take back a probe that nobody waits for any more; one that is answered stays, and a worker's late answer is dropped."""
    async with database.tenant(tenant_id) as con:
        await con.execute(
            "delete from probe where tenant_id = $1 and probe_id = $2 and state = any($3::text[])",
            tenant_id,
            probe_id,
            list(OPEN),
        )


async def due(con: Connection, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Return ids of tenants and probes that nobody works on, oldest first; ``con`` is the sweeper's."""
    rows = await con.fetch(
        "select p.tenant_id, p.probe_id from probe p join tenant t on t.tenant_id = p.tenant_id "
        "where t.state = 'active' and (p.state = 'queued' or p.state = 'running' and p.lease_until < now()) "
        "order by p.asked_at limit $1",
        limit,
    )
    return [(row["tenant_id"], row["probe_id"]) for row in rows]


async def claim(
    database: Database, tenant_id: UUID, probe_id: UUID, *, worker: str, lease: timedelta
) -> ProbeClaim | None:
    """Take a probe; ``None`` when it is not to be had. One that took down several workers is answered as failed."""
    async with database.tenant(tenant_id) as con:
        row = await con.fetchrow(_CLAIM, tenant_id, probe_id, lease, worker)
        if row is None:
            return None
        claimed = ProbeClaim(tenant_id, probe_id, row["kind"], row["target"], row["lease_token"])
        if row["tries"] <= MOST_TRIES:
            return claimed
        await finish(con, claimed, ok=False, result=f"No worker finished this test in {MOST_TRIES} tries.")
    return None


async def finish(con: Connection, claimed: ProbeClaim, *, ok: bool, result: str) -> bool:
    """Store the answer, inside the caller's tenant session; False when another worker holds the probe by now."""
    changed = await con.execute(
        "update probe set state = $4, result = $5, lease_until = null, finished_at = clock_timestamp() "
        "where tenant_id = $1 and probe_id = $2 and lease_token = $3 and state = 'running'",
        claimed.tenant_id,
        claimed.probe_id,
        claimed.token,
        "ok" if ok else "failed",
        result,
    )
    return bool(changed == "UPDATE 1")
