"""Tenants, connections, deliveries, runs, effects and people."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000001"
VERSION = "1.38.0"
DESCRIPTION = "Tenants, connections, deliveries, runs, effects and people"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0001_core.sql")
