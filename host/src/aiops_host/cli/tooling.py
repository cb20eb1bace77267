"""A tenant's connection as a command names it."""

from __future__ import annotations

from aiops_host.data import connections, tenants
from aiops_host.data.connections import ConnectionSummary, UnknownConnection
from aiops_host.data.session import Database


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
