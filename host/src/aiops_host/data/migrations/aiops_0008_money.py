"""Tests that workers make for people: tenants' keys and connections tried, answered in a sentence."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000008"
VERSION = "1.38.0"
DESCRIPTION = "Tests that workers make for people"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0008_probes.sql")
