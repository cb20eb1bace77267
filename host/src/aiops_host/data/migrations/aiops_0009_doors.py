"""Tenants that are deleted, secrets that overlap, networks that may post, refusals that are explained."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000009"
VERSION = "1.38.0"
DESCRIPTION = "Tenants that are deleted, secrets that overlap, networks that may post, refusals that are explained"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0009_doors.sql")
