"""The contract of an agent tool: one capability that gathers evidence or proposes a write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import msgspec

from aiops_core.services import Clock, Log
from aiops_core.tickets import Evidence, Ticket

ToolEffect = Literal["read", "write"]

ArgsT = TypeVar("ArgsT", bound=msgspec.Struct)


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one tool call found. ``summary`` is one sentence for the step timeline."""

    evidence: tuple[Evidence, ...] = ()
    summary: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolContext:
    """One tool call: the ticket of the run and the moment (``clock.monotonic`` seconds) it must end by."""

    ticket: Ticket
    deadline: float
    clock: Clock
    log: Log


class Tool(ABC, Generic[ArgsT]):
    """One tool of one tenant, made by its spec's factory. ``ArgsT`` is the spec's ``args`` Struct."""

    def args_for(self, ticket: Ticket) -> ArgsT | None:
        """Return what to ask for this ticket, or ``None`` when the tool has nothing to do there. Pure.

        An agent that gathers evidence before it asks the LLM calls every tool this way.
        """
        return None

    @abstractmethod
    async def invoke(self, args: ArgsT, context: ToolContext) -> ToolResult:
        """Do the work within the deadline.

        Raises:
            ToolFailed: Nothing could be gathered; the message is shown in the note.
        """
