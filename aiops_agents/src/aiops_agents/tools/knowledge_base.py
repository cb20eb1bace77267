"""The tool that finds the tenant's articles about a ticket."""

from __future__ import annotations

from typing import Annotated

import msgspec

from aiops_agents.tools.bounded import within
from aiops_core import KnowledgeBase, NoConfig, Ticket, Tool, ToolContext, ToolResult, ToolServices

CANDIDATES = 10
"""How many articles are asked for: more than a note shows, because the agent ranks them."""


class KnowledgeBaseArgs(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is what the articles should be about; ``limit`` how many are returned at most."""

    text: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=20)] = CANDIDATES


class KnowledgeBaseSearch(Tool[KnowledgeBaseArgs]):
    """Articles by relevance."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        """Take the tenant's articles."""
        self._knowledge = knowledge

    def args_for(self, ticket: Ticket) -> KnowledgeBaseArgs | None:
        """Ask with the ticket's title and description."""
        return KnowledgeBaseArgs(text=ticket.text) if ticket.text else None

    async def invoke(self, args: KnowledgeBaseArgs, context: ToolContext) -> ToolResult:
        """Search the articles."""
        found = tuple(await within(context, self._knowledge.search(args.text, args.limit)))
        return ToolResult(evidence=found, summary=f"{len(found)} articles." if found else "No article.")


def make(_config: NoConfig, services: ToolServices) -> KnowledgeBaseSearch:
    """Make the tool of one tenant."""
    return KnowledgeBaseSearch(services.knowledge)
