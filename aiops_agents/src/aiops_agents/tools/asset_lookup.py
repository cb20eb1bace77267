"""The tool that finds the assets a ticket names by IP address or hostname."""

from __future__ import annotations

from typing import Annotated

import msgspec

from aiops_agents.tools.addresses import asset_keys
from aiops_agents.tools.bounded import within
from aiops_core import AssetInventory, NoConfig, Ticket, Tool, ToolContext, ToolResult, ToolServices

MAX_KEYS = 50


class AssetLookupArgs(msgspec.Struct, frozen=True, kw_only=True):
    """``keys`` are IP addresses, hostnames or names of assets."""

    keys: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]


class AssetLookup(Tool[AssetLookupArgs]):
    """Assets by exact address or name."""

    def __init__(self, assets: AssetInventory) -> None:
        """Take the tenant's inventory."""
        self._assets = assets

    def args_for(self, ticket: Ticket) -> AssetLookupArgs | None:
        """Ask for every address and machine-like name in title, description and comments."""
        text = "\n".join((ticket.title, ticket.description, *(c.text for c in ticket.comments)))
        keys = asset_keys(text)[:MAX_KEYS]
        return AssetLookupArgs(keys=keys) if keys else None

    async def invoke(self, args: AssetLookupArgs, context: ToolContext) -> ToolResult:
        """Look the keys up; the inventory matches them exactly."""
        found = tuple(await within(context, self._assets.find(args.keys)))
        return ToolResult(evidence=found, summary=f"{len(found)} assets for {len(args.keys)} addresses and names.")


def make(_config: NoConfig, services: ToolServices) -> AssetLookup:
    """Make the tool of one tenant."""
    return AssetLookup(services.assets)
