"""Second looks at notes that may have been written twice, and one unfinished delivery per ticket."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000004"
VERSION = "1.38.0"
DESCRIPTION = "Second looks at notes that may have been written twice, and one unfinished delivery per ticket"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0004_reconcile.sql")
