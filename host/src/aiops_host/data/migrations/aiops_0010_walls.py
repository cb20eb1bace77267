"""The audit trail: appended to, never changed, chained by hashes."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000010"
VERSION = "1.38.0"
DESCRIPTION = "The audit trail: appended to, never changed, chained by hashes"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0010_walls.sql")
