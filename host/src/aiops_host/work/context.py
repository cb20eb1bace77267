"""What a run is handed: tools and LLM bound to its tenant, bounded in time and calls, every failure named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops_core.agents import RunBudget, RunTool, Step
from aiops_core.errors import AiopsError, BudgetExceeded, CallRefused, LLMRefused, LLMUnavailable, ToolFailed
from aiops_core.llm import Completion, CompletionRequest, LLMBackend, ModelCall
from aiops_core.plugins import explain
from aiops_core.services import Clock, Log
from aiops_core.specs import ToolSpec
from aiops_core.tickets import Ticket
from aiops_core.tools import Tool, ToolContext, ToolEffect, ToolResult
from aiops_host.trust.redaction import Redactor
from aiops_host.watch.tracing import span
from aiops_host.work.backends import Backends
from aiops_host.work.metering import RunMeter


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
        except AiopsError as error:
            raise ToolFailed(explain(error)) from error
        except Exception as error:  # isolation: a tool's bug costs its own evidence only
            self.log.warning("tool %s failed: %s", self.name, explain(error))
            raise ToolFailed(f"failed ({type(error).__name__})") from error

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
    """The tenant's backends in their order, within the run's budget of calls and tokens and the tenant's of money."""

    backends: Backends
    budget: RunBudget
    meter: RunMeter
    log: Log
    calls: int = 0
    redactor: Redactor | None = None
    """Keeps personal data from every backend, where the tenant asked for it."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask one backend after the other until one answers; see core's ``RunLLM``."""
        if self.redactor is None:
            return await self._asked(request)
        return self.redactor.restored(await self._asked(self.redactor.hidden(request)))

    async def _asked(self, request: CompletionRequest) -> Completion:
        self.calls += 1
        if self.calls > self.budget.llm_calls:
            raise BudgetExceeded(f"The run may ask the language model {self.budget.llm_calls} times.")
        most = min(request.max_tokens, self.budget.max_tokens)
        metered = replace(request, max_tokens=most, meter=self.meter)
        failures: list[str] = []
        end = time.monotonic() + request.timeout
        for name, backend in self.backends.made:
            left = end - time.monotonic()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    return await _traced(name, backend, metered)
            except TimeoutError:
                failures.append(f"{name}: no answer within {request.timeout:g} s")
            except (LLMUnavailable, LLMRefused, CallRefused) as error:
                failures.append(f"{name}: {explain(error)}")
            except Exception as error:  # isolation: a backend's bug is one failed backend
                self.log.warning("LLM backend %s failed: %s", name, explain(error))
                failures.append(f"{name}: failed ({type(error).__name__})")
        raise self._unanswered([*failures, *self.backends.unusable])

    def _unanswered(self, failures: list[str]) -> BudgetExceeded | LLMUnavailable:
        said = "; ".join(failures) or "no LLM backend is configured"
        over = self.meter.over_budget
        error = BudgetExceeded(over) if over else LLMUnavailable(said)
        error.attempts = tuple(self.meter.attempts)
        return error


async def _traced(name: str, backend: LLMBackend, request: CompletionRequest) -> Completion:
    with span("llm", kind="client", attributes={"backend": name}) as current:
        completion = await _metered(name, backend, request)
        current.set_attribute("model", completion.model)
        current.set_attribute("prompt_tokens", completion.usage.prompt_tokens)
        current.set_attribute("completion_tokens", completion.usage.completion_tokens)
        return completion


async def _metered(name: str, backend: LLMBackend, request: CompletionRequest) -> Completion:
    """Ask the backend; one that does not meter its calls itself is metered as one call of an unknown price."""
    if backend.calls != "unmetered" or request.meter is None:
        return await backend.complete(request)
    prompt = sum(len(message.content.encode()) for message in request.messages)
    call = ModelCall(provider=name, model=name, prompt_tokens=prompt, max_tokens=request.max_tokens)
    async with request.meter.call(call) as record:
        try:
            completion = await backend.complete(request)
        except (LLMUnavailable, LLMRefused) as error:
            record.failed(explain(error), charged=False, provider_fault=True)
            raise
        record.used(completion.usage)
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
