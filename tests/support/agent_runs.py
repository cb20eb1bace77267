"""A run of an agent outside the host: real tools over given records, a real backend, and the steps it recorded."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiops_agents import plugin
from aiops_core import (
    Agent,
    Completion,
    CompletionRequest,
    Enhancement,
    LLMBackend,
    NoConfig,
    NoteDraft,
    RunBudget,
    RunTool,
    Step,
    Ticket,
    Tool,
    ToolContext,
    ToolResult,
    ToolSpec,
    compose,
    plain_text,
)
from aiops_core.testing.fakes import FakeServices, RecordingLog, SystemClock


class ToolOfRun:
    """A tool bound to one ticket, as the host binds it."""

    def __init__(self, spec: ToolSpec, tool: Tool[Any], ticket: Ticket) -> None:
        """Take the record and what its factory made."""
        self.name, self.title, self.effect = spec.name, spec.title, spec.effect
        self._tool = tool
        self._ticket = ticket

    def args_for(self, ticket: Ticket) -> Any | None:
        """Ask the tool."""
        return self._tool.args_for(ticket)

    async def invoke(self, args: Any, *, timeout: float) -> ToolResult:
        """Call the tool."""
        clock = SystemClock()
        deadline = clock.monotonic() + timeout
        return await self._tool.invoke(
            args, ToolContext(ticket=self._ticket, deadline=deadline, clock=clock, log=RecordingLog())
        )


class LLMOfRun:
    """A backend as the run sees it; ``requests`` keeps what was asked."""

    def __init__(self, backend: LLMBackend) -> None:
        """Take the backend."""
        self._backend = backend
        self.requests: list[CompletionRequest] = []

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask the backend."""
        self.requests.append(request)
        return await self._backend.complete(request)


@dataclass(kw_only=True)
class Run:
    """A run's context; ``steps`` are those the agent recorded."""

    tools: dict[str, RunTool]
    llm: LLMOfRun
    budget: RunBudget = field(default_factory=RunBudget)
    run_id: str = "run-1"
    clock: SystemClock = field(default_factory=SystemClock)
    log: RecordingLog = field(default_factory=RecordingLog)
    steps: list[Step] = field(default_factory=list)
    deadline: float = 0.0

    def __post_init__(self) -> None:
        """Start the run's time."""
        self.deadline = self.clock.monotonic() + self.budget.total_seconds

    def record_step(self, step: Step) -> None:
        """Keep a step."""
        self.steps.append(step)

    def step(self, name: str) -> Step:
        """Return the step of that name."""
        return next(step for step in self.steps if step.name == name)


def enhancer() -> Agent:
    """Return the agent, as its record's factory makes it."""
    (spec,) = plugin.aiops_register_agents()
    return spec.factory(NoConfig(), FakeServices())


def offline_backend() -> LLMBackend:
    """Return the offline backend, as its record's factory makes it."""
    spec = next(s for s in plugin.aiops_register_llm_backends() if s.name == "offline")
    return spec.factory(NoConfig(), FakeServices())


def tools_for(ticket: Ticket, services: FakeServices, specs: Iterable[ToolSpec] | None = None) -> dict[str, RunTool]:
    """Return the plugin's tools over the services' records, bound to the ticket."""
    chosen = plugin.aiops_register_tools() if specs is None else specs
    return {spec.name: ToolOfRun(spec, spec.factory(NoConfig(), services), ticket) for spec in chosen}


async def enhanced(
    ticket: Ticket,
    services: FakeServices,
    *,
    backend: LLMBackend | None = None,
    budget: RunBudget | None = None,
    extra_tools: Iterable[RunTool] = (),
) -> tuple[NoteDraft, Run]:
    """Run the agent once; return its draft and the run."""
    tools = tools_for(ticket, services) | {tool.name: tool for tool in extra_tools}
    run = Run(tools=tools, llm=LLMOfRun(backend or offline_backend()), budget=budget or RunBudget())
    return await enhancer().run(ticket, run), run


def text_of(draft: NoteDraft) -> str:
    """Return the note as a technician reads it."""
    note: Enhancement = compose(draft)
    return plain_text(note)
