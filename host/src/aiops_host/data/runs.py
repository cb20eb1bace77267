"""Runs and their steps: stored for the timeline, listed and shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from aiops_core.agents import Step
from aiops_core.errors import AiopsError
from aiops_core.tickets import Enhancement, NoteDraft, Ticket
from aiops_host.data.claims import DeliveryClaim
from aiops_host.data.cursors import conditions, cursor_of
from aiops_host.data.session import Connection, Database
from aiops_host.data.usage import NOTHING, Spent

MAX_PAGE = 200
NUL = b"\\u0000"
"""As JSON spells it."""

RunOutcome = Literal["posted", "posting", "checking", "parked", "refused", "kept", "dry-run", "failed"]
"""What became of a run's note. ``kept``: one was on the ticket before; ``refused``: it was not posted and will not be;
``parked``: a person has to look; ``failed``: the run itself broke off."""


class UnknownRun(AiopsError):
    """There is no such run."""


class RunFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list; ``ticket`` is its id or number, ``connection`` a name or an id."""

    outcome: RunOutcome | None = None
    ticket: str | None = None
    connection: str | None = None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One timed part of a run with what went in and came out."""

    number: int
    name: str
    started_at: datetime
    milliseconds: float
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    error: str | None
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One agent execution and what became of its note; ``steps`` counts them.

    ``reason`` says in plain language why a run failed or its note is not on the ticket. ``title``,
    ``ticket_number`` and ``ticket_url`` are the ticket's, as far as the run could read it. Times are UTC.
    """

    id: UUID
    delivery_id: UUID
    connection: str
    ticketing_tool: str
    attempt: int
    ticket_id: str
    ticket_number: str | None
    ticket_url: str | None
    title: str | None
    agent: str
    agent_version: str
    dry_run: bool
    state: Literal["finished", "failed"]
    outcome: RunOutcome
    error: str | None
    reason: str | None
    note_url: str | None
    started_at: datetime
    finished_at: datetime
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    steps: int


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, newest first; ``next`` asks for the page after this one."""

    items: list[RunSummary]
    next: str | None


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run with the ticket it read, the draft with its evidence, the note it wrote and its steps."""

    run: RunSummary
    ticket: dict[str, Any] | None
    draft: dict[str, Any] | None
    enhancement: dict[str, Any] | None
    steps: list[StepView]


_RUN = """
    select * from (
        select r.run_id as id, r.delivery_id, c.name as connection, c.connection_id, c.ticketing_tool, r.attempt,
               r.ticket_id, r.ticket->>'number' as ticket_number, r.ticket->>'url' as ticket_url,
               r.ticket->>'title' as title, r.agent, r.agent_version, r.dry_run, r.state, r.error,
               coalesce(r.error, e.reason) as reason, e.remote_url as note_url, r.started_at, r.finished_at, r.model,
               r.prompt_tokens, r.completion_tokens, r.cost_usd::float8 as cost_usd,
               case when r.state = 'failed' then 'failed' when r.dry_run then 'dry-run'
                    else case e.state when 'confirmed' then 'posted' when 'planned' then 'posting'
                                      when 'sending' then 'posting' when 'unknown' then 'checking'
                                      when 'parked' then 'parked' when 'dead' then 'refused' else 'kept' end
               end as outcome
        from run r
        join connection c on c.tenant_id = r.tenant_id and c.connection_id = r.connection_id
        left join effect e
            on e.tenant_id = r.tenant_id and e.delivery_id = r.delivery_id and e.run_id = r.run_id
    ) r
"""
_STEPS = """
    select number, name, started_at, milliseconds, inputs, outputs, error, model, prompt_tokens,
           completion_tokens, cost_usd::float8 as cost_usd
    from step where run_id = $1 order by number
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRun:
    """One agent execution, whatever came of it."""

    run_id: UUID
    agent: str
    agent_version: str
    started_at: datetime
    finished_at: datetime
    steps: Sequence[Step]
    ticket: Ticket | None = None
    draft: NoteDraft | None = None
    enhancement: Enhancement | None = None
    error: str | None = None
    spent: Spent = NOTHING


async def store(con: Connection, claim: DeliveryClaim, run: FinishedRun) -> None:
    """Store the run with its steps in one statement, inside the caller's tenant session."""
    costs = [s.cost_usd for s in run.steps if s.cost_usd is not None]
    await con.execute(
        _STORE,
        claim.tenant_id,
        run.run_id,
        claim.delivery_id,
        claim.attempt,
        claim.connection_id,
        claim.ticket_id,
        run.agent,
        run.agent_version,
        claim.dry_run,
        "failed" if run.error else "finished",
        run.error,
        run.started_at,
        run.finished_at,
        next((s.model for s in reversed(run.steps) if s.model), None),
        sum(s.prompt_tokens for s in run.steps),
        sum(s.completion_tokens for s in run.steps),
        sum(costs) if costs else None,
        _storable(run.ticket),
        _storable(run.draft),
        _storable(run.enhancement),
        *_columns(run.steps),
    )


_STORE = """
with stored as (
    insert into run (tenant_id, run_id, delivery_id, attempt, connection_id, ticket_id, agent, agent_version, dry_run,
                     state, error, started_at, finished_at, model, prompt_tokens, completion_tokens, cost_usd, ticket,
                     draft, enhancement)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
)
insert into step (tenant_id, run_id, number, name, started_at, milliseconds, inputs, outputs, error, model,
                  prompt_tokens, completion_tokens, cost_usd)
select $1, $2, x.* from unnest(
    $21::int[], $22::text[], $23::timestamptz[], $24::float8[], $25::jsonb[], $26::jsonb[], $27::text[], $28::text[],
    $29::int[], $30::int[], $31::numeric[]) x
"""


def _columns(steps: Sequence[Step]) -> tuple[list[Any], ...]:
    return (
        list(range(1, len(steps) + 1)),
        [step.name for step in steps],
        [step.started_at for step in steps],
        [step.milliseconds for step in steps],
        [_storable(step.inputs) for step in steps],
        [_storable(step.outputs) for step in steps],
        [step.error for step in steps],
        [step.model for step in steps],
        [step.prompt_tokens for step in steps],
        [step.completion_tokens for step in steps],
        [step.cost_usd for step in steps],
    )


async def list_(
    database: Database,
    tenant_id: UUID,
    filters: RunFilters | None = None,
    *,
    limit: int = 50,
    cursor: str | None = None,
) -> RunPage:
    """Return a page of the tenant's runs, newest first.

    Raises:
        CursorInvalid: The cursor is not one an earlier page gave.
    """
    limit = max(1, min(limit, MAX_PAGE))
    where, values = _conditions(filters or RunFilters(), cursor)
    async with database.tenant(tenant_id) as con:
        found = await _summaries(
            con, f"{_RUN} where {where} order by started_at desc, id desc limit {limit + 1}", *values
        )
    items = found[:limit]
    return RunPage(items=items, next=cursor_of(items[-1].started_at, items[-1].id) if len(found) > limit else None)


async def of_delivery(con: Connection, delivery_id: UUID) -> list[RunSummary]:
    """Return a delivery's runs, oldest first, inside the caller's tenant session."""
    return await _summaries(con, f"{_RUN} where delivery_id = $1 order by started_at, id", delivery_id)


async def show(database: Database, tenant_id: UUID, run_id: UUID) -> RunDetail:
    """Return one run with its steps.

    Raises:
        UnknownRun: The tenant has none of that id.
    """
    async with database.tenant(tenant_id) as con:
        found = await _summaries(con, f"{_RUN} where id = $1", run_id)
        if not found:
            raise UnknownRun
        what = await con.fetchrow("select ticket, draft, enhancement from run where run_id = $1", run_id)
        steps = [StepView(**dict(row)) for row in await con.fetch(_STEPS, run_id)]
    return RunDetail(run=found[0], steps=steps, **dict(what))


async def _summaries(con: Connection, statement: str, *values: Any) -> list[RunSummary]:
    rows = [dict(row) for row in await con.fetch(statement, *values)]
    counted = await con.fetch(
        "select run_id, count(*)::int as steps from step where run_id = any($1::uuid[]) group by run_id",
        [row["id"] for row in rows],
    )
    steps = {row["run_id"]: row["steps"] for row in counted}
    for row in rows:
        row.pop("connection_id")
    return [RunSummary(**row, steps=steps.get(row["id"], 0)) for row in rows]


def _conditions(filters: RunFilters, cursor: str | None) -> tuple[str, list[Any]]:
    wanted = (
        ("outcome = {0}", filters.outcome),
        ("{0} in (ticket_id, ticket_number)", filters.ticket),
        ("{0} in (connection, connection_id::text)", filters.connection),
    )
    return conditions(wanted, "(started_at, id)", cursor)


def _storable(value: Any) -> Any:
    """Return the value as JSON, encoded once, without what jsonb refuses: NUL, and halves of characters."""
    if value is None:
        return None
    with suppress(UnicodeEncodeError):
        encoded = msgspec.json.encode(value)
        if NUL not in encoded:
            return msgspec.Raw(encoded)
    return _without_nul(msgspec.to_builtins(value))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_without_nul(k): _without_nul(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(v) for v in value]
    return value
