"""Members, invitations, sessions that can be listed, API tokens, second factors and logins through a provider."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000007"
VERSION = "1.38.0"
DESCRIPTION = "Members, invitations, API tokens, second factors and logins through a provider"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0007_doors.sql", "migrations/sql/0007_people.sql")
