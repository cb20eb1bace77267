"""The tool that finds the tenant's past tickets like this one."""

from __future__ import annotations

from typing import Annotated

import msgspec

from aiops_agents.tools.bounded import within
from aiops_core import Evidence, NoConfig, Ticket, TicketHistory, Tool, ToolContext, ToolResult, ToolServices

CANDIDATES = 20
"""How many tickets are asked for: more than a note shows, because the agent ranks them and lets them vote."""


class SimilarTicketsArgs(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is what the past tickets are compared with; ``limit`` how many are returned at most."""

    text: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = CANDIDATES


class SimilarTickets(Tool[SimilarTicketsArgs]):
    """Past tickets by likeness, with what resolved them."""

    def __init__(self, history: TicketHistory) -> None:
        """Take the tenant's history."""
        self._history = history

    def args_for(self, ticket: Ticket) -> SimilarTicketsArgs | None:
        """Ask with the ticket's title and description."""
        return SimilarTicketsArgs(text=ticket.text) if ticket.text else None

    async def invoke(self, args: SimilarTicketsArgs, context: ToolContext) -> ToolResult:
        """Search the history; the ticket itself is left out."""
        own = {context.ticket.id, context.ticket.number}
        found = tuple(
            e for e in await within(context, self._history.similar(args.text, args.limit)) if e.ref not in own
        )
        return ToolResult(evidence=found, summary=_summary(found))


def make(_config: NoConfig, services: ToolServices) -> SimilarTickets:
    """Make the tool of one tenant."""
    return SimilarTickets(services.history)


def _summary(found: tuple[Evidence, ...]) -> str:
    solved = sum(1 for e in found if e.resolution)
    return f"{len(found)} similar tickets, {solved} with a resolution." if found else "No similar ticket."
