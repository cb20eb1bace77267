"""A connection's ticketing tool for one command, with the right to open its credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from aiops_core.plugins import load_plugins
from aiops_core.ticketing import TicketingToolPlugin
from aiops_host.cli.program import opened
from aiops_host.data import tenants
from aiops_host.data.connections import ConnectionRecord
from aiops_host.data.session import Database
from aiops_host.settings import read_settings
from aiops_host.trust.connections import SecretReader, load_connection, make_for_worker
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.vault import Vault


@asynccontextmanager
async def using_tool(
    slug: str, connection_id: UUID
) -> AsyncIterator[tuple[Database, ConnectionRecord, TicketingToolPlugin]]:
    """Give the database, the connection and its ticketing tool."""
    settings = read_settings()
    settings.require("key_file")
    reader = SecretReader(Vault.load(settings.key_file), "credentials")
    registry = load_plugins(blocked=settings.blocked).registry
    http = GuardedHttp.open()
    try:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            loaded = await load_connection(database, tenant.id, connection_id)
            tool = make_for_worker(registry, loaded, reader, http)
            yield database, loaded.record, tool
            await tool.aclose()
    finally:
        await http.aclose()
