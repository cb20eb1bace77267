"""Keys whose provider did not answer."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-28T00:00:00:000014"
VERSION = "1.38.0"
DESCRIPTION = "Keys whose provider did not answer"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0014_unreached_keys.sql")
