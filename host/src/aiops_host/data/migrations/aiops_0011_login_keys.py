"""Second factors name the login key they are sealed under."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000011"
VERSION = "1.38.0"
DESCRIPTION = "Second factors name the login key they are sealed under"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0011_login_keys.sql")
