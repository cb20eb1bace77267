"""A run without a host, for tests of agents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops_core.agents import RunBudget, RunLLM, RunTool, Step
from aiops_core.errors import ToolFailed
from aiops_core.services import Clock
from aiops_core.testing.fakes import RecordingLog, ScriptedBackend, SystemClock
from aiops_core.tickets import Ticket
from aiops_core.tools import Tool, ToolContext, ToolEffect, ToolResult


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeRunTool:
    """A tool as an agent meets it: bounded in time, every failure a ToolFailed."""

    name: str
    tool: Tool[Any]
    ticket: Ticket
    clock: Clock
    effect: ToolEffect = "read"

    @property
    def title(self) -> str:
        """The name again."""
        return self.name

    def args_for(self, ticket: Ticket) -> Any | None:
        """Ask the tool."""
        return self.tool.args_for(ticket)

    async def invoke(self, args: Any, *, timeout: float) -> ToolResult:
        """Call the tool."""
        deadline = self.clock.monotonic() + timeout
        context = ToolContext(ticket=self.ticket, deadline=deadline, clock=self.clock, log=RecordingLog())
        try:
            async with asyncio.timeout(timeout):
                return await self.tool.invoke(args, context)
        except ToolFailed:
            raise
        except TimeoutError:
            raise ToolFailed(f"{self.name} did not answer in time.") from None
        except Exception as error:  # isolation: as in the host, a tool's failure is its own
            raise ToolFailed(f"{self.name} failed: {error}") from error


class FakeRun:
    """The context of one run, with the ticket's tools and an LLM; ``steps`` keeps what was recorded.

    Without an LLM every request to it is answered with LLMUnavailable.
    """

    def __init__(
        self,
        ticket: Ticket,
        *,
        tools: Mapping[str, Tool[Any]] | None = None,
        llm: RunLLM | None = None,
        budget: RunBudget | None = None,
    ) -> None:
        """Take the ticket, the tools by name, an LLM such as a backend, and the limits."""
        self.run_id = "run-1"
        self.clock: Clock = SystemClock()
        self.log = RecordingLog()
        self.budget = budget or RunBudget()
        self.deadline = self.clock.monotonic() + self.budget.total_seconds
        self.llm: RunLLM = llm or ScriptedBackend()
        self.tools: Mapping[str, RunTool] = {
            name: FakeRunTool(name=name, tool=tool, ticket=ticket, clock=self.clock)
            for name, tool in (tools or {}).items()
        }
        self.steps: list[Step] = []

    def record_step(self, step: Step) -> None:
        """Keep the step."""
        self.steps.append(step)
