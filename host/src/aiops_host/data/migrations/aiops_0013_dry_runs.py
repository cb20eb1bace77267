"""Dry runs that leave a delivery as it was."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-28T00:00:00:000013"
VERSION = "1.38.0"
DESCRIPTION = "Dry runs that leave a delivery as it was"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0013_dry_runs.sql")
