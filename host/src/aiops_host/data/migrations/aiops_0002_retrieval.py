"""Past tickets, articles, assets and the index they are searched with."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000002"
VERSION = "1.38.0"
DESCRIPTION = "Past tickets, articles, assets and the index they are searched with"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "retrieval/schema.sql")
