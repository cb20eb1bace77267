"""What a run is handed: tools and LLM bound to its tenant, bounded in time and calls, every failure named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops_core.agents import RunBudget, RunTool, Step
from aiops_core.errors import AiopsError, BudgetExceeded, LLMRefused, LLMUnavailable, ToolFailed
from aiops_core.llm import Completion, CompletionRequest, LLMBackend
from aiops_core.plugins import explain
from aiops_core.services import Clock, Log
from aiops_core.specs import ToolSpec
from aiops_core.tickets import Ticket
from aiops_core.tools import Tool, ToolContext, ToolEffect, ToolResult
from aiops_host.watch.tracing import span


@dataclass(frozen=True, slots=True)
class BoundTool:
    """A tool of this run."""

    spec: ToolSpec
    tool: Tool[Any]
    ticket: Ticket
    clock: Clock
    log: Log

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.spec.name

    @property
    def title(self) -> str:
        """What people call it."""
        return self.spec.title

    @property
    def effect(self) -> ToolEffect:
        """Whether it reads or writes."""
        return self.spec.effect

    def args_for(self, ticket: Ticket) -> Any | None:
        """Return what to ask for the ticket, or ``None``.

        Raises:
            ToolFailed: The tool broke.
        """
        try:
            return self.tool.args_for(ticket)
        except Exception as error:  # isolation: a tool's bug costs its own evidence only
            raise ToolFailed(explain(error)) from error

    async def invoke(self, args: Any, *, timeout: float) -> ToolResult:
        """Call the tool for at most ``timeout`` seconds.

        Raises:
            ToolFailed: It failed or was too slow; the message is fit to show.
        """
        if not isinstance(args, self.spec.args):
            raise ToolFailed(f"was asked with {type(args).__name__} instead of {self.spec.args.__name__}")
        context = ToolContext(
            ticket=self.ticket, deadline=self.clock.monotonic() + timeout, clock=self.clock, log=self.log
        )
        try:
            async with asyncio.timeout(timeout):
                with span("tool", attributes={"tool": self.name}):
                    result = await self.tool.invoke(args, context)
        except TimeoutError:
            raise ToolFailed(f"did not answer within {timeout:g} s") from None
        except AiopsError as error:
            raise ToolFailed(explain(error)) from error
        except Exception as error:  # isolation: a tool's bug costs its own evidence only
            self.log.warning("tool %s failed: %s", self.name, explain(error))
            raise ToolFailed(f"failed ({type(error).__name__})") from error
        if not isinstance(result, ToolResult):
            raise ToolFailed(f"answered {type(result).__name__} instead of a ToolResult")
        self.log.debug("tool %s: %d pieces of evidence", self.name, len(result.evidence))
        return result


@dataclass(slots=True)
class BoundLLM:
    """The tenant's backends in their order, within the run's budget of calls and tokens."""

    backends: Sequence[tuple[str, LLMBackend]]
    budget: RunBudget
    log: Log
    calls: int = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask one backend after the other until one answers; see core's ``RunLLM``."""
        self.calls += 1
        if self.calls > self.budget.llm_calls:
            raise BudgetExceeded(f"The run may ask the language model {self.budget.llm_calls} times.")
        failures: list[str] = []
        end = time.monotonic() + request.timeout
        for name, backend in self.backends:
            left = end - time.monotonic()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    return await _traced(name, backend, request)
            except TimeoutError:
                failures.append(f"{name}: no answer within {request.timeout:g} s")
            except (LLMUnavailable, LLMRefused) as error:
                failures.append(f"{name}: {explain(error)}")
            except Exception as error:  # isolation: a backend's bug is one failed backend
                self.log.warning("LLM backend %s failed: %s", name, explain(error))
                failures.append(f"{name}: failed ({type(error).__name__})")
        raise LLMUnavailable("; ".join(failures) or "no LLM backend is configured")


async def _traced(name: str, backend: LLMBackend, request: CompletionRequest) -> Completion:
    with span("llm", kind="client", attributes={"backend": name}) as current:
        completion = await backend.complete(request)
        current.set_attribute("model", completion.model)
        current.set_attribute("prompt_tokens", completion.usage.prompt_tokens)
        current.set_attribute("completion_tokens", completion.usage.completion_tokens)
        return completion


@dataclass(frozen=True, kw_only=True)
class Context:
    """Core's ``RunContext``."""

    run_id: str
    tools: Mapping[str, RunTool]
    llm: BoundLLM
    budget: RunBudget
    deadline: float
    clock: Clock
    log: Log
    steps: list[Step] = field(default_factory=list)

    def record_step(self, step: Step) -> None:
        """Keep a finished step."""
        self.steps.append(step)
