"""One agent run for one ticket: fetch it, hand the agent its context, compose what it drafted."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from aiops_core.agents import RunTool, Step
from aiops_core.compose import compose
from aiops_core.plugins import explain
from aiops_core.ticketing import TicketingToolPlugin
from aiops_core.tickets import Ticket
from aiops_host.data.claims import DeliveryClaim
from aiops_host.data.runs import FinishedRun
from aiops_host.settings import Settings
from aiops_host.trust.connections import ConnectionRecord, SystemClock
from aiops_host.trust.redaction import Redactor
from aiops_host.watch.tracing import span
from aiops_host.work.context import BoundLLM, BoundTool, Context
from aiops_host.work.metering import Meters
from aiops_host.work.workshop import AgentKit, Workshop

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Executor:
    """Runs agents with the settings of this worker."""

    settings: Settings
    workshop: Workshop
    clock: SystemClock
    meters: Meters

    async def run(self, claim: DeliveryClaim, record: ConnectionRecord, tool: TicketingToolPlugin) -> FinishedRun:
        """Run the connection's agent; its failure is in the run's ``error``, the ticketing tool's is raised."""
        started_at, started = self.clock.now(), self.clock.monotonic()
        async with asyncio.timeout(self.settings.run_timeout):
            with span("get ticket", kind="client"):
                ticket = await tool.get_ticket(claim.ticket_id)
        fetched = Step(
            name="fetch ticket",
            started_at=started_at,
            milliseconds=(self.clock.monotonic() - started) * 1000,
            outputs={"title": ticket.title, "state": ticket.state, "priority": ticket.priority},
        )
        kit = await self.workshop.agent_kit(claim.tenant_id, record.agent, claim.settings_version)
        run_id = uuid4()
        context = self._context(run_id, kit, ticket, started, tenant_id=claim.tenant_id)
        context.record_step(fetched)
        run = FinishedRun(
            run_id=run_id,
            agent=kit.spec.name,
            agent_version=kit.spec.version,
            started_at=started_at,
            finished_at=started_at,
            steps=context.steps,
            ticket=ticket,
        )
        drafted = await self._drafted(kit, ticket, context, record)
        return replace(run, **drafted, spent=context.llm.meter.spent, finished_at=self.clock.now())

    async def _drafted(
        self, kit: AgentKit, ticket: Ticket, context: Context, record: ConnectionRecord
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(max(context.deadline - self.clock.monotonic(), 0)):
                with span("run", attributes={"agent": kit.spec.name, "run_id": context.run_id}):
                    draft = await kit.agent.run(ticket, context)
            return {"draft": draft, "enhancement": compose(draft, link_hosts=record.link_hosts)}
        except TimeoutError:
            return {"error": f"Agent {kit.spec.name} did not finish within {self.settings.run_timeout:g} s."}
        except Exception as error:  # isolation: an agent's failure is one failed run with its reason
            log.warning("agent %s failed: %s", kit.spec.name, explain(error), exc_info=True)
            return {"error": f"Agent {kit.spec.name} failed: {explain(error)}"}

    def _redactor(self, kit: AgentKit) -> Redactor | None:
        redacted = self.meters.metrics.redaction_hits
        return Redactor(kit.privacy, lambda kind, many: redacted.labels(kind).inc(many)) if kit.privacy.kinds else None

    def _context(self, run_id: UUID, kit: AgentKit, ticket: Ticket, started: float, *, tenant_id: UUID) -> Context:
        plugin_log = logging.LoggerAdapter(log, {"run_id": str(run_id)})
        tools: dict[str, RunTool] = {
            name: BoundTool(spec, tool, ticket, self.clock, plugin_log) for name, (spec, tool) in kit.tools.items()
        }
        meter = self.meters.run(tenant_id, kit.spec.name, version=kit.version, budgeted=kit.backends.budgeted)
        return Context(
            run_id=str(run_id),
            tools=tools,
            llm=BoundLLM(kit.backends, kit.budget, meter, plugin_log, redactor=self._redactor(kit)),
            budget=kit.budget,
            deadline=started + self.settings.run_timeout,
            clock=self.clock,
            log=plugin_log,
        )
