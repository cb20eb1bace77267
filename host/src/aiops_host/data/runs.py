"""Runs and their steps, as stored for the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aiops_core.agents import Step
from aiops_core.tickets import Enhancement, NoteDraft, Ticket
from aiops_host.data.claims import DeliveryClaim
from aiops_host.data.session import Connection


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


async def store(con: Connection, claim: DeliveryClaim, run: FinishedRun) -> None:
    """Store the run with its steps, inside the caller's tenant session."""
    costs = [s.cost_usd for s in run.steps if s.cost_usd is not None]
    await con.execute(
        "insert into run (tenant_id, run_id, delivery_id, attempt, connection_id, ticket_id, agent, agent_version, "
        "dry_run, state, error, started_at, finished_at, model, prompt_tokens, completion_tokens, cost_usd, ticket, "
        "draft, enhancement) values "
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
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
    )
    await _store_steps(con, claim, run)


async def _store_steps(con: Connection, claim: DeliveryClaim, run: FinishedRun) -> None:
    await con.executemany(
        "insert into step (tenant_id, run_id, number, name, started_at, milliseconds, inputs, outputs, error, model, "
        "prompt_tokens, completion_tokens, cost_usd) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            (
                claim.tenant_id,
                run.run_id,
                number,
                step.name,
                step.started_at,
                step.milliseconds,
                _storable(step.inputs),
                _storable(step.outputs),
                step.error,
                step.model,
                step.prompt_tokens,
                step.completion_tokens,
                step.cost_usd,
            )
            for number, step in enumerate(run.steps, 1)
        ],
    )


def _storable(value: Any) -> Any:
    """Return builtins without NUL, which jsonb refuses."""
    return None if value is None else _without_nul(msgspec.to_builtins(value))


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_without_nul(k): _without_nul(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(v) for v in value]
    return value
