"""Tenants' own keys, budgets and the ledger of what they used; tests that workers make for people."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-23T00:00:00:000008"
VERSION = "1.38.0"
DESCRIPTION = "Tenants' own keys, budgets, the ledger, and tests that workers make"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the scripts."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0008_probes.sql", "migrations/sql/0008_money.sql")
