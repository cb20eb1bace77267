"""What a note is told of a tool that fails."""

from collections.abc import Callable

import msgspec
import pytest

from aiops_core import Ticket, TicketingUnavailable, Tool, ToolContext, ToolFailed, ToolResult, ToolSpec
from aiops_core.testing.fakes import RecordingLog, SystemClock, make_ticket
from aiops_host.work.context import BoundTool


class Nothing(msgspec.Struct, frozen=True):
    """No arguments."""


class Broken(Tool[Nothing]):
    """Raises what it was made with."""

    def __init__(self, error: Exception) -> None:
        """Take the error."""
        self.error = error

    def args_for(self, ticket: Ticket) -> Nothing:
        """Fail."""
        raise self.error

    async def invoke(self, args: Nothing, context: ToolContext) -> ToolResult:
        """Fail."""
        raise self.error


def bound(make: Callable[..., Tool[Nothing]], log: RecordingLog, error: Exception) -> BoundTool:
    """Bind the tool as a run does."""
    spec = ToolSpec(name="broken", title="Broken", description="Fails.", args=Nothing, factory=make)
    return BoundTool(spec, make(error), make_ticket(), SystemClock(), log)


ERRORS = pytest.mark.parametrize(
    ("error", "told"),
    [
        (ToolFailed("The shelf is empty."), "The shelf is empty."),
        (TicketingUnavailable("The shelf is away."), "The shelf is away."),
        (KeyError("token t0ken"), "failed (KeyError)"),
    ],
)


@ERRORS
async def test_only_our_errors_speak_in_the_note(error: Exception, told: str) -> None:
    """Of an error of ours the message is told, of any other the type; its message is in the log."""
    log = RecordingLog()

    with pytest.raises(ToolFailed) as failed:
        await bound(Broken, log, error).invoke(Nothing(), timeout=5)

    assert str(failed.value) == told
    assert ("t0ken" in log.text) == isinstance(error, KeyError)


@ERRORS
def test_the_same_holds_before_the_call(error: Exception, told: str) -> None:
    """An error of args_for is told like one of invoke."""
    log = RecordingLog()

    with pytest.raises(ToolFailed) as failed:
        bound(Broken, log, error).args_for(make_ticket())

    assert str(failed.value) == told
    assert ("t0ken" in log.text) == isinstance(error, KeyError)
