"""One claimed delivery: to a planned note, into the history, back to the queue, or given up with its reason."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from aiops_core.errors import (
    AiopsError,
    AuthenticationFailed,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.plugins import explain
from aiops_core.ticketing import TicketingToolPlugin
from aiops_host import failpoints
from aiops_host.data import claims, effects, runs
from aiops_host.data.claims import DeliveryClaim, LeaseLost
from aiops_host.data.retrieval import history
from aiops_host.data.runs import FinishedRun
from aiops_host.data.session import Connection, Database, DatabaseBusy, DatabaseDown
from aiops_host.data.usage import UsageWriter
from aiops_host.settings import Settings
from aiops_host.trust.connections import ConnectionRecord
from aiops_host.work.execute import Executor
from aiops_host.work.workshop import Workshop

log = logging.getLogger(__name__)

PASSED_ON = (LeaseLost, DatabaseBusy, DatabaseDown)
"""What ends the work on a delivery without a word in the database: it is taken up again when its lease ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of a claimed delivery. ``effect_id`` is set when a planned note is to be carried out now."""

    outcome: str
    run: FinishedRun | None = None
    effect_id: UUID | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """Works on claimed deliveries."""

    database: Database
    settings: Settings
    workshop: Workshop
    executor: Executor
    ledger: UsageWriter

    async def work(self, claim: DeliveryClaim) -> Result:
        """Work on one delivery.

        Raises:
            LeaseLost, DatabaseDown, DatabaseBusy: It is taken up again when its lease ends.
        """
        failpoints.reached("delivery-claimed")
        try:
            return await self._by_action(claim)
        except PASSED_ON:
            raise
        except AuthenticationFailed as error:
            return await self._pause(claim, explain(error))
        except (TicketNotFound, TicketingRefused) as error:
            return await self._end(claim, "dead", explain(error))
        except AiopsError as error:
            asked = error.retry_after if isinstance(error, TicketingUnavailable) else None
            return await self._retry(claim, explain(error), asked=asked)
        except Exception as error:  # isolation: job top; a bug in a plugin or in us costs this attempt only
            log.exception("delivery %s failed", claim.delivery_id)
            return await self._retry(claim, f"Unexpected failure: {explain(error)}")

    async def release(self, claim: DeliveryClaim) -> None:
        """Give an unfinished delivery back because this worker stops."""
        reason = "Its worker was stopped; another takes it up."
        async with self.database.tenant(claim.tenant_id) as con:
            await claims.requeue(con, claim, delay=timedelta(0), reason=reason, counts=False)

    async def _by_action(self, claim: DeliveryClaim) -> Result:
        record, tool = await self.workshop.ticketing_tool(claim.tenant_id, claim.connection_id, claim.config_version)
        if claim.action == "learn":
            return await self._learn(claim, tool)
        return await self._enhance(claim, record, tool)

    async def _learn(self, claim: DeliveryClaim, tool: TicketingToolPlugin) -> Result:
        ticket = await tool.get_ticket(claim.ticket_id)
        async with self.database.tenant(claim.tenant_id) as con:
            reason = "The ticket is not resolved any more; the history is as it was."
            if ticket.state == "resolved":
                await history.upsert(con, [ticket], connection_id=claim.connection_id, source="webhook")
                reason = "The resolved ticket is in the history."
            await self._moved(con, claim, "done", "learned", reason)
        return Result(outcome="learned")

    async def _enhance(self, claim: DeliveryClaim, record: ConnectionRecord, tool: TicketingToolPlugin) -> Result:
        recent = claim.recent_notes
        if claim.trigger == "scheduled" and recent >= self.settings.runs_per_ticket_hour:
            return await self._end(claim, "ignored", f"This ticket already had {recent} notes within an hour.")
        run = await self.executor.run(claim, record, tool)
        failpoints.reached("run-finished")
        # First and by itself: it was spent, whatever becomes of the run.
        await self.ledger.settle(claim.tenant_id, run.spent)
        if run.error:
            return await self._retry(claim, run.error, run=run)
        return await self._plan(claim, run)

    async def _plan(self, claim: DeliveryClaim, run: FinishedRun) -> Result:
        enhancement = run.enhancement
        assert enhancement is not None  # noqa: S101 - a run without an error has one

        async def work(con: Connection) -> Result:
            await runs.store(con, claim, run)
            if claim.dry_run:
                await self._moved(con, claim, "done", "dry-run", "Dry run: nothing was posted.")
                return Result(outcome="dry-run", run=run)
            planned = await effects.plan(con, claim, run.run_id, enhancement)
            if planned.state == "confirmed":
                await self._moved(con, claim, "done", "kept", "Its note is already on the ticket; it was left alone.")
                return Result(outcome="kept", run=run)
            await self._moved(con, claim, "posting", "planned", None)
            return Result(outcome="planned", run=run, effect_id=planned.effect_id)

        result = await self.database.together(claim.tenant_id, work)
        if result.outcome == "planned":
            failpoints.reached("effect-planned")
        return result

    async def _retry(
        self, claim: DeliveryClaim, reason: str, *, asked: float | None = None, run: FinishedRun | None = None
    ) -> Result:
        delays = self.settings.backoff
        async with self.database.tenant(claim.tenant_id) as con:
            if run is not None:
                await runs.store(con, claim, run)
            if claim.tries > len(delays):
                await self._moved(con, claim, "dead", "gave-up", f"Gave up after {claim.tries} tries: {reason}")
                return Result(outcome="dead", run=run)
            delay = timedelta(seconds=asked if asked is not None else delays[claim.tries - 1])
            if asked is not None:
                await claims.hold_connection(con, claim.connection_id, claim.tenant_id, delay)
            await claims.requeue(con, claim, delay=delay, reason=reason)
            await self._release_ticket(con, claim)
        return Result(outcome="retry", run=run)

    async def _pause(self, claim: DeliveryClaim, reason: str) -> Result:
        async with self.database.tenant(claim.tenant_id) as con:
            if await claims.pause_connection(con, claim.connection_id, claim.tenant_id, reason):
                log.error("connection %s is paused until a person resumes it: %s", claim.connection_id, reason)
            await claims.requeue(con, claim, delay=timedelta(0), reason=reason, counts=False)
        return Result(outcome="paused")

    async def _end(self, claim: DeliveryClaim, state: str, reason: str) -> Result:
        async with self.database.tenant(claim.tenant_id) as con:
            await self._moved(con, claim, state, state, reason)
        return Result(outcome=state)

    async def _moved(self, con: Connection, claim: DeliveryClaim, state: str, outcome: str, reason: str | None) -> None:
        await claims.move(con, claim, state=state, outcome=outcome, reason=reason)
        if state != "posting":
            await self._release_ticket(con, claim)

    async def _release_ticket(self, con: Connection, claim: DeliveryClaim) -> None:
        await claims.release_ticket(con, claim.tenant_id, claim.connection_id, claim.ticket_id)
