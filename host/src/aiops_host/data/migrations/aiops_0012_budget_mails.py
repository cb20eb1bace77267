"""Mails about budgets: each sent once."""

from aiops_host.data.sql_migration import sql_migration

ID = "2026-11-28T00:00:00:000012"
VERSION = "1.38.0"
DESCRIPTION = "Mails about budgets: each sent once"


async def forwards():  # type: ignore[no-untyped-def]
    """Run the script."""
    return sql_migration(ID, DESCRIPTION, "migrations/sql/0012_budget_mails.sql")
