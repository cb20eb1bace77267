"""A connection's ticketing tool for one command, with the right to open its credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from aiops_core.plugins import load_plugins
from aiops_core.ticketing import TicketingToolPlugin
from aiops_host.cli.program import opened
from aiops_host.data import connections, tenants
from aiops_host.data.connections import ConnectionRecord, ConnectionSummary, UnknownConnection
from aiops_host.data.session import Database
from aiops_host.settings import read_settings
from aiops_host.trust.connections import SecretReader, load_connection, make_for_worker
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.opening import in_use, open_vault


async def connection_called(database: Database, slug: str, called: str) -> ConnectionSummary:
    """Return a tenant's connection by its id, its name or the id of its webhook address.

    Raises:
        UnknownTenant: There is no such tenant.
        UnknownConnection: The tenant has no such connection; the message names those it has.
    """
    tenant = await tenants.by_slug(database, slug)
    found = await connections.list_(database, tenant.id)
    for connection in found:
        path = connection.webhook_path or ""
        if called == connection.name or called.strip().lower() in (str(connection.id), path.rpartition("/")[2]):
            return connection
    names = ", ".join(connection.name for connection in found) or "none yet"
    raise UnknownConnection(
        f"The tenant {slug} has no connection {called!r}; it has: {names}. "
        f"Their ids: aiops connections list --tenant {slug}"
    )


@asynccontextmanager
async def using_tool(
    slug: str, connection_id: UUID
) -> AsyncIterator[tuple[Database, ConnectionRecord, TicketingToolPlugin]]:
    """Give the database, the connection and its ticketing tool."""
    settings = read_settings()
    registry = load_plugins(blocked=settings.blocked).registry
    reader = SecretReader(open_vault(settings, registry), "credentials")
    http = GuardedHttp.open(Destinations.parse(settings.egress_private, settings.egress_ports))
    try:
        async with opened() as database, in_use(reader.vault, database, "command"):
            tenant = await tenants.by_slug(database, slug)
            loaded = await load_connection(database, reader, tenant.id, connection_id)
            tool = make_for_worker(registry, loaded, reader, http)
            yield database, loaded.record, tool
            await tool.aclose()
    finally:
        await http.aclose()
