"""What the bench's tools share: they are called for every ticket and act on a word in its title."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from aiops_core import Evidence, NoConfig, Ticket, Tool, ToolContext, ToolResult, ToolServices, ToolSpec


class ProbeArgs(msgspec.Struct, frozen=True):
    """The title of the ticket."""

    title: str


class Probe(Tool[ProbeArgs]):
    """A tool that does something with each title."""

    def __init__(self, act: Callable[[str], Awaitable[str]]) -> None:
        """Take what to do; it returns a text to show as evidence, or nothing."""
        self._act = act

    def args_for(self, ticket: Ticket) -> ProbeArgs:
        """Look at every ticket."""
        return ProbeArgs(ticket.title)

    async def invoke(self, args: ProbeArgs, context: ToolContext) -> ToolResult:
        """Act."""
        text = await self._act(args.title)
        if not text:
            return ToolResult()
        return ToolResult(evidence=(Evidence(source="probe", ref=text, title=text, text=text),), summary=text)


def probe(name: str, act: Callable[[str], Awaitable[str]]) -> ToolSpec:
    """Return the record of a probing tool."""

    def make(_config: NoConfig, _services: ToolServices) -> Probe:
        return Probe(act)

    return ToolSpec(name=name, title=name, description="Part of a bench.", args=ProbeArgs, factory=make)
