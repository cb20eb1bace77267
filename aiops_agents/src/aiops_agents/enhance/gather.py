"""The first step: every reading tool is asked at once; what fails or is slow becomes a notice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec

from aiops_agents.enhance.state import RunState, StepResult
from aiops_core import Evidence, RunContext, RunTool, Ticket, ToolFailed
from aiops_core.services import JsonObject

_CANCEL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """What became of one tool. ``args`` is ``None`` when it had nothing to do for the ticket."""

    tool: RunTool
    args: JsonObject | None = None
    evidence: tuple[Evidence, ...] = ()
    summary: str = ""
    milliseconds: float | None = None
    error: str | None = None

    @property
    def notice(self) -> str | None:
        """The sentence for the note, if the tool gave nothing because it failed."""
        if self.error is None:
            return None
        reason = self.error.rstrip(".")
        return f"{self.tool.title} could not be searched: {reason}."


async def gather(state: RunState, context: RunContext) -> StepResult:
    """Ask all reading tools concurrently, each within its time and all within the step's."""
    tools = [tool for tool in context.tools.values() if tool.effect == "read"]
    limit = min(
        context.budget.tool_seconds, context.budget.gather_seconds, context.deadline - context.clock.monotonic()
    )
    calls = await _all(tools, state["ticket"], context, max(limit, 0.0))
    notices = tuple(call.notice for call in calls if call.notice)
    return StepResult(
        update={"found": tuple(e for call in calls for e in call.evidence), "notices": notices},
        inputs={"ticket": state["ticket"].id, "seconds": limit},
        outputs={"tools": [_shown(call) for call in calls]},
        error=" ".join(notices) or None,
    )


async def _all(tools: list[RunTool], ticket: Ticket, context: RunContext, limit: float) -> list[_Call]:
    tasks = [asyncio.create_task(_call(tool, ticket, context, limit)) for tool in tools]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, timeout=limit)
    finally:
        late = [task for task in tasks if not task.done()]
        for task in late:
            task.cancel()
    if late:
        await asyncio.wait(late, timeout=_CANCEL_SECONDS)
    return [
        _Call(tool=tool, error=f"did not answer in {limit:g} s") if task in late else task.result()
        for tool, task in zip(tools, tasks, strict=True)
    ]


async def _call(tool: RunTool, ticket: Ticket, context: RunContext, limit: float) -> _Call:
    start = context.clock.monotonic()
    args = None
    try:
        args = tool.args_for(ticket)
        if args is None:
            return _Call(tool=tool)
        result = await tool.invoke(args, timeout=limit)
    except ToolFailed as error:
        return _Call(tool=tool, args=_plain(args), error=str(error), milliseconds=_since(start, context))
    except Exception as error:  # isolation: a tool is a plugin's; the note does without it
        context.log.warning("tool %s failed: %s", tool.name, type(error).__name__)
        return _Call(tool=tool, args=_plain(args), error="failed unexpectedly", milliseconds=_since(start, context))
    return _Call(
        tool=tool,
        args=_plain(args),
        evidence=result.evidence,
        summary=result.summary,
        milliseconds=_since(start, context),
    )


def _since(start: float, context: RunContext) -> float:
    return round((context.clock.monotonic() - start) * 1000, 1)


def _plain(args: object) -> JsonObject:
    built = msgspec.to_builtins(args)
    return built if isinstance(built, dict) else {}


def _shown(call: _Call) -> JsonObject:
    return {
        "tool": call.tool.name,
        "args": call.args,
        "milliseconds": call.milliseconds,
        "summary": call.summary,
        "error": call.error,
        "evidence": [scored(e) for e in call.evidence],
    }


def scored(evidence: Evidence) -> JsonObject:
    """Return what a timeline shows of an item: which it is and how well it fits."""
    return {"source": evidence.source, "ref": evidence.ref, "title": evidence.title, "score": round(evidence.score, 4)}
