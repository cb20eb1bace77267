"""Workers that tell they live, and runs listed newest first."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000003"
VERSION = "1.38.0"
DESCRIPTION = "Workers that tell they live, and runs listed newest first"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0003_workers.sql")
