"""The contract of an agent: it turns a ticket into a note's draft with the tools and the LLM it is handed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import msgspec

from aiops_core.llm import Completion, CompletionRequest
from aiops_core.services import Clock, JsonObject, Log
from aiops_core.tickets import NoteDraft, Ticket
from aiops_core.tools import ToolEffect, ToolResult


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One executed step of a run, as stored and shown. ``error`` is plain language; ``None`` when it went well."""

    name: str
    started_at: datetime
    milliseconds: float
    inputs: JsonObject = msgspec.field(default_factory=dict)
    outputs: JsonObject = msgspec.field(default_factory=dict)
    error: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


class RunTool(Protocol):
    """A tool of this run; the host bounds each call in time and isolates its failure."""

    @property
    def name(self) -> str:
        """The tool's name."""
        ...

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    @property
    def effect(self) -> ToolEffect:
        """Whether it reads or writes."""
        ...

    def args_for(self, ticket: Ticket) -> Any | None:
        """Return what to ask for the ticket, or ``None`` for nothing."""
        ...

    async def invoke(self, args: Any, *, timeout: float) -> ToolResult:
        """Call the tool.

        Raises:
            ToolFailed: It failed, or did not answer within ``timeout`` seconds.
        """
        ...


class RunLLM(Protocol):
    """The run's LLM: the tenant's backends in order, within the run's budget."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask the models.

        Raises:
            LLMUnavailable: None answered in time.
            LLMRefused: Every one refused for good.
            BudgetExceeded: The run may not ask again.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RunBudget:
    """Limits of one run: seconds in all, seconds for everything but the LLM, calls and answer tokens of the LLM."""

    total_seconds: float = 110.0
    gather_seconds: float = 15.0
    tool_seconds: float = 5.0
    llm_calls: int = 4
    max_tokens: int = 1200


class RunContext(Protocol):
    """Everything a run may touch."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...

    @property
    def tools(self) -> Mapping[str, RunTool]:
        """The tools the agent may call, by name."""
        ...

    @property
    def llm(self) -> RunLLM:
        """The run's LLM."""
        ...

    @property
    def budget(self) -> RunBudget:
        """The run's limits."""
        ...

    @property
    def deadline(self) -> float:
        """The moment of ``clock.monotonic`` the run must end by."""
        ...

    @property
    def clock(self) -> Clock:
        """The host's clock."""
        ...

    @property
    def log(self) -> Log:
        """A logger that names the run."""
        ...

    def record_step(self, step: Step) -> None:
        """Keep a finished step for the run's timeline; it is stored with the run."""
        ...


class Agent(ABC):
    """One agent of one tenant, made by its spec's factory; its runs may overlap."""

    @abstractmethod
    async def run(self, ticket: Ticket, context: RunContext) -> NoteDraft:
        """Work on the ticket until ``context.deadline``.

        The host checks the draft again: citations that point nowhere and uncited claims outside the next
        steps do not reach the ticket.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished:
    """A run has ended and, if it has a note, the note is on its ticket.

    ``outcome`` is ``posted``, ``dry-run``, ``failed``, …; ``milliseconds`` counts from the webhook's arrival.
    """

    tenant_id: str
    connection_id: str
    ticketing_tool: str
    ticket_id: str
    delivery_id: str
    run_id: str
    agent: str
    outcome: str
    milliseconds: float
    notices: tuple[str, ...] = field(default=())
