"""Secrets are sealed under data keys of their tenant."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000006"
VERSION = "1.38.0"
DESCRIPTION = "Secrets are sealed under data keys of their tenant"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0006_keys.sql")
