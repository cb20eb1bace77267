"""The run without a host treats tools as the host does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from aiops_core import LLMUnavailable, RunContext, Step, Ticket, Tool, ToolContext, ToolFailed, ToolResult
from aiops_core.testing.fakes import ScriptedBackend, make_request, make_ticket
from aiops_core.testing.runs import FakeRun


class Args(msgspec.Struct, frozen=True):
    """What to do."""

    deed: str


class Obedient(Tool[Args]):
    """Does what its arguments say."""

    def args_for(self, ticket: Ticket) -> Args | None:
        """Say the ticket's title."""
        return Args(ticket.title)

    async def invoke(self, args: Args, context: ToolContext) -> ToolResult:
        """Answer, wait, fail or break."""
        if args.deed == "wait":
            await asyncio.Event().wait()
        if args.deed == "fail":
            raise ToolFailed("Nothing there.")
        if args.deed == "break":
            raise KeyError("x")
        return ToolResult(summary=f"{context.ticket.id} {context.deadline > context.clock.monotonic()}")


def make_run() -> FakeRun:
    """Return a run with the tool."""
    return FakeRun(make_ticket(title="answer"), tools={"obedient": Obedient()})


async def test_tool_is_called_for_the_runs_ticket() -> None:
    """A tool gets the run's ticket and a deadline ahead of it."""
    run: RunContext = make_run()
    tool = run.tools["obedient"]
    assert (tool.name, tool.title, tool.effect) == ("obedient", "obedient", "read")
    assert tool.args_for(make_ticket(title="t")) == Args("t")
    assert (await tool.invoke(Args("answer"), timeout=5.0)).summary == "4711 True"


@pytest.mark.parametrize(
    ("deed", "message"), [("wait", "did not answer in time"), ("fail", "Nothing there"), ("break", "obedient failed")]
)
async def test_every_failure_of_a_tool_is_a_tool_failed(deed: str, message: str) -> None:
    """A slow, failing or broken tool raises ToolFailed in the agent."""
    with pytest.raises(ToolFailed, match=message):
        await make_run().tools["obedient"].invoke(Args(deed), timeout=0.01)


async def test_llm_is_the_given_one_or_unavailable() -> None:
    """A backend serves as the run's LLM; without one it is unavailable."""
    with pytest.raises(LLMUnavailable):
        await make_run().llm.complete(make_request())
    run = FakeRun(make_ticket(), llm=ScriptedBackend("It drops [1]."))
    assert (await run.llm.complete(make_request())).draft.sections


def test_steps_are_kept() -> None:
    """Recorded steps are kept in order."""
    run = make_run()
    steps = [Step(name=name, started_at=datetime.now(UTC), milliseconds=1.0) for name in "ab"]
    for step in steps:
        run.record_step(step)
    assert run.steps == steps
    assert run.deadline > run.clock.monotonic()
