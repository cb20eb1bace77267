"""Webhooks that arrive together are committed together."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000005"
VERSION = "1.38.0"
DESCRIPTION = "Webhooks that arrive together are committed together"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0005_intake.sql")
