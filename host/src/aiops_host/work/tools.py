"""Start a tenant's tools; one that does not start fails each of its calls with the reason, so that notes name it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from aiops_core.errors import AiopsError, ToolFailed
from aiops_core.plugins import explain
from aiops_core.specs import ToolSpec
from aiops_core.tickets import Ticket
from aiops_core.tools import Tool, ToolContext, ToolResult

log = logging.getLogger(__name__)


class Nothing(msgspec.Struct, frozen=True):
    """The arguments of a tool that did not start."""


class NotStarted(Tool[Nothing]):
    """Stands in for a tool that did not start."""

    def __init__(self, why: str) -> None:
        """Take what the note is told."""
        self._why = why

    def args_for(self, ticket: Ticket) -> Nothing:
        """Have every agent ask, because what is not asked is not named."""
        return Nothing()

    async def invoke(self, args: Nothing, context: ToolContext) -> ToolResult:
        """Fail.

        Raises:
            ToolFailed: Always; the message says that the tool did not start.
        """
        raise ToolFailed(self._why)


def started(spec: ToolSpec, make: Callable[[], object]) -> tuple[ToolSpec, Tool[Any]]:
    """Return the record and what ``make`` returns, or a stand-in with a record to match."""
    try:
        tool = make()
        if not isinstance(tool, Tool):
            raise TypeError(f"its factory returned {type(tool).__name__}, not a Tool")
    except Exception as error:  # isolation: a tool that does not start costs its own evidence only
        log.warning("tool %s does not start: %s", spec.name, explain(error))
        told = f": {explain(error)}" if isinstance(error, AiopsError) else f" ({type(error).__name__})"
        return replace(spec, args=Nothing), NotStarted(f"did not start{told}")
    return spec, tool
