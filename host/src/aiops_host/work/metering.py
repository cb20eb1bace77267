"""What stands before every call to a model: breaker, budget, span, metrics; and what a run used in the end."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from aiops_core.errors import CallRefused
from aiops_core.llm import CallRecord, LLMAttempt, ModelCall, Usage
from aiops_host.data.session import Database
from aiops_host.data.usage import Ledger, Line, Spent
from aiops_host.settings import Settings
from aiops_host.watch.metrics import Metrics
from aiops_host.watch.tracing import span
from aiops_host.work.breaker import Breakers
from aiops_host.work.budgets import BudgetReached, Purse

log = logging.getLogger(__name__)

SETTLE_SLACK = 60.0
"""Seconds a reservation outlives the longest run; after that its worker is dead."""


@dataclass(frozen=True, slots=True)
class Meters:
    """Makes the meter of each run; the breakers are shared by all runs of the worker."""

    database: Database
    settings: Settings
    metrics: Metrics
    breakers: Breakers

    @classmethod
    def of(cls, database: Database, settings: Settings, metrics: Metrics) -> Meters:
        """Return the meters of one worker."""
        breakers = Breakers(settings.breaker_failures, settings.breaker_seconds, time.monotonic)
        metrics.show_breakers(lambda: breakers.count("open"))
        return cls(database, settings, metrics, breakers)

    def run(self, tenant_id: UUID, agent: str, *, version: int, budgeted: bool) -> RunMeter:
        """Return the meter of one run of the tenant's agent; without a budget nothing is put aside."""
        lasts = timedelta(seconds=self.settings.run_timeout + SETTLE_SLACK)
        purse = Purse(self.database, tenant_id, lasts) if budgeted else None
        return RunMeter(self, tenant_id, version, purse, Ledger(agent))


@dataclass(slots=True)
class _Record:
    """What the backend says of one call."""

    usage: Usage | None = None
    error: str | None = None
    charged: bool = True
    provider_fault: bool | None = None

    def used(self, usage: Usage) -> None:
        self.usage = usage

    def failed(self, sentence: str, *, charged: bool, provider_fault: bool) -> None:
        self.error, self.charged, self.provider_fault = sentence, charged, provider_fault


@dataclass(slots=True)
class RunMeter:
    """Core's ``CallMeter`` for one run."""

    meters: Meters
    tenant_id: UUID
    version: int
    purse: Purse | None
    ledger: Ledger
    attempts: list[LLMAttempt] = field(default_factory=list)
    over_budget: str | None = None

    @property
    def backoff(self) -> tuple[float, ...]:
        """Seconds to wait before each further try at one model."""
        return self.meters.settings.llm_backoff

    @property
    def spent(self) -> Spent:
        """What the run used so far, to be settled with it."""
        return Spent(self.ledger.lines(), tuple(self.purse.reservations) if self.purse else ())

    @asynccontextmanager
    async def call(self, call: ModelCall) -> AsyncIterator[CallRecord]:
        """Stand around one call; see core's ``CallMeter``."""
        breaker = self.meters.breakers.of(self.tenant_id, call.provider, self.version)
        if not breaker.enter():
            self._refused(call, "left-out")
            raise CallRefused(
                f"was not asked, because {call.provider} failed {breaker.failures} times in a row just now"
            )
        record, started = _Record(), time.monotonic()
        made = False
        try:
            await self._cover(call)
            made = True
            with span(
                "llm call", kind="client", attributes={"provider": call.provider, "model": call.model}
            ) as current:
                yield record
                current.set_attribute("prompt_tokens", record.usage.prompt_tokens if record.usage else 0)
        finally:
            if record.usage is not None:
                breaker.worked()
            elif record.provider_fault:
                breaker.failed()
            else:
                breaker.left()
            if made:
                self._ended(call, record, (time.monotonic() - started) * 1000)

    async def _cover(self, call: ModelCall) -> None:
        if self.purse is None:
            return
        try:
            await self.purse.cover(call)
        except BudgetReached as reached:
            self.over_budget = reached.reason
            self._refused(call, "budget")
            log.warning("%s %s", call.model, reached)
            raise

    def _refused(self, call: ModelCall, outcome: str) -> None:
        self.meters.metrics.llm_call(call.provider, outcome)

    def _ended(self, call: ModelCall, record: _Record, milliseconds: float) -> None:
        """Count a call that was made, by what the backend said of it; one it said nothing of may have been charged."""
        self.meters.metrics.llm_call(call.provider, "ok" if record.usage else "failed")
        error = record.error if record.usage is None else None
        self.attempts.append(
            LLMAttempt(
                model=call.model,
                milliseconds=round(milliseconds, 1),
                error=error if record.usage or error else "was broken off",
                provider=call.provider,
            )
        )
        line = _line(self.ledger.agent, call, record)
        self.ledger.add(line)
        if self.purse is not None:
            tokens = line.prompt_tokens + line.completion_tokens + line.doubtful_tokens
            self.purse.spend(tokens, line.cost_usd + line.doubtful_usd)


def _line(agent: str, call: ModelCall, record: _Record) -> Line:
    if record.usage is not None:
        cost = record.usage.cost_usd
        return Line(
            agent,
            call.provider,
            call.model,
            calls=1,
            prompt_tokens=record.usage.prompt_tokens,
            completion_tokens=record.usage.completion_tokens,
            cost_usd=cost or 0.0,
            unpriced_calls=int(cost is None),
        )
    doubtful = record.charged
    return Line(
        agent,
        call.provider,
        call.model,
        calls=1,
        failures=1,
        doubtful_tokens=call.prompt_tokens + call.max_tokens if doubtful else 0,
        doubtful_usd=(call.usd or 0.0) if doubtful else 0.0,
    )
