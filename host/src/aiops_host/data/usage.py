"""The ledger of what language models were used for, and reservations against budgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

import msgspec

from aiops_host.data.session import Connection, Database, DatabaseBusy, DatabaseDown
from aiops_host.data.together import Together


@dataclass(frozen=True, slots=True)
class Line:
    """What one agent used of one model. ``doubtful`` is the most that calls without an answer may have cost."""

    agent: str
    provider: str
    model: str
    calls: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    doubtful_tokens: int = 0
    doubtful_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run used, with the reservations that are settled by it."""

    lines: Sequence[Line] = ()
    reservations: Sequence[UUID] = ()

    def __bool__(self) -> bool:
        return bool(self.lines or self.reservations)


NOTHING = Spent()


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A day's use of one model by one agent. What calls without an answer may have cost is ``doubtful``."""

    day: date
    agent: str
    provider: str
    model: str
    calls: int
    failures: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    unpriced_calls: int
    doubtful_tokens: int
    doubtful_usd: float


@dataclass(slots=True)
class Ledger:
    """Adds up what a run uses, one line per model."""

    agent: str
    _lines: dict[tuple[str, str], Line] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Add a call."""
        key = (line.provider, line.model)
        there = self._lines.get(key)
        self._lines[key] = line if there is None else _sum(there, line)

    def lines(self) -> tuple[Line, ...]:
        """Return what was added, in an order that is the same for everybody."""
        return tuple(self._lines[key] for key in sorted(self._lines))


_SETTLE = """
with freed as (
    delete from llm_reservation where tenant_id = $1 and reservation_id = any($2::uuid[])
)
insert into llm_usage as u (tenant_id, day, agent, provider, model, calls, failures, prompt_tokens, completion_tokens,
                            cost_usd, unpriced_calls, doubtful_tokens, doubtful_usd)
select $1, (clock_timestamp() at time zone 'utc')::date, x.* from unnest(
    $3::text[], $4::text[], $5::text[], $6::integer[], $7::integer[], $8::bigint[], $9::bigint[], $10::numeric[],
    $11::integer[], $12::bigint[], $13::numeric[]) x
on conflict (tenant_id, day, agent, provider, model) do update set
    calls = u.calls + excluded.calls, failures = u.failures + excluded.failures,
    prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = u.completion_tokens + excluded.completion_tokens,
    cost_usd = u.cost_usd + excluded.cost_usd, unpriced_calls = u.unpriced_calls + excluded.unpriced_calls,
    doubtful_tokens = u.doubtful_tokens + excluded.doubtful_tokens,
    doubtful_usd = u.doubtful_usd + excluded.doubtful_usd
"""
_COLUMNS = (
    "agent",
    "provider",
    "model",
    "calls",
    "failures",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "unpriced_calls",
    "doubtful_tokens",
    "doubtful_usd",
)


class UsageWriter:
    """Settles what runs spent, those of a tenant that end together in one transaction.

    They share a row of the ledger: held by each through a transaction of its own, it let a tenant's runs end no faster
    than one to a flush of the disk.
    """

    def __init__(self, database: Database) -> None:
        """Take the application's pool."""
        self._database = database
        self._together = Together(self._commit, passed_on=(DatabaseBusy, DatabaseDown))

    async def settle(self, tenant_id: UUID, spent: Spent) -> None:
        """Return once what was used is in the ledger, and what was put aside for it is free.

        Raises:
            DatabaseBusy, DatabaseDown: It may not be; what was put aside becomes free by itself later.
        """
        if spent:
            await self._together.add(tenant_id, spent)

    async def _commit(self, tenant_id: UUID, spent: Sequence[Spent]) -> list[None]:
        ledgers: dict[str, Ledger] = {}
        for line in (line for one in spent for line in one.lines):
            ledgers.setdefault(line.agent, Ledger(line.agent)).add(line)
        lines = [line for agent in sorted(ledgers) for line in ledgers[agent].lines()]
        reservations = [reservation for one in spent for reservation in one.reservations]
        async with self._database.tenant(tenant_id) as con:
            await settle(con, tenant_id, Spent(lines, reservations))
        return [None] * len(spent)


async def settle(con: Connection, tenant_id: UUID, spent: Spent) -> None:
    """Write what was used and free what was put aside for it, in one statement of the caller's tenant session."""
    if spent:
        columns = [[getattr(line, name) for line in spent.lines] for name in _COLUMNS]
        await con.execute(_SETTLE, tenant_id, list(spent.reservations), *columns)


async def reserve(
    database: Database, tenant_id: UUID, reservation_id: UUID, *, tokens: int, usd: float | None, lasts: timedelta
) -> tuple[bool, list[dict[str, object]]]:
    """Put tokens and money aside if every budget has room, in one round trip; outside of any tenant session.

    Returns:
        Whether it was put aside, and each budget's state after that.
    """
    async with database.role("app") as con:
        rows = await con.fetch(
            "select * from llm_reserve($1, $2, $3, $4, $5)", tenant_id, reservation_id, tokens, usd, lasts
        )
    states = [dict(row) for row in rows]
    granted = [bool(state.pop("granted")) for state in states]
    return all(granted), states


async def rows(con: Connection, since: date, until: date) -> list[UsageRow]:
    """Return the ledger from ``since`` to ``until``, both included, inside the caller's tenant session."""
    found = await con.fetch(
        "select day, agent, provider, model, calls, failures, prompt_tokens, completion_tokens, "
        "cost_usd::float8 as cost_usd, unpriced_calls, doubtful_tokens, doubtful_usd::float8 as doubtful_usd "
        "from llm_usage where day between $1 and $2 order by day, agent, provider, model",
        since,
        until,
    )
    return [UsageRow(**dict(row)) for row in found]


def as_csv(tenant: str, found: Iterable[UsageRow], *, heading: bool = True) -> str:
    """Return the ledger as CSV; a text that a spreadsheet would take for a formula is kept from that."""
    import csv  # noqa: PLC0415 - only here
    import io  # noqa: PLC0415

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if heading:
        writer.writerow(("tenant", *UsageRow.__struct_fields__))
    for row in found:
        values = (_inert(v) if isinstance(v, str) else v for v in msgspec.structs.astuple(row))
        writer.writerow((tenant, *values))
    return text.getvalue()


def _inert(value: str) -> str:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _sum(a: Line, b: Line) -> Line:
    return Line(a.agent, a.provider, a.model, *(getattr(a, n) + getattr(b, n) for n in _COLUMNS[3:]))
