"""Whether PostgreSQL answers each role this process works with."""

from __future__ import annotations

from aiops_host.data.session import Database


async def check(database: Database) -> None:
    """Ask the host's two roles something small, each of a function it needs.

    Raises:
        DatabaseBusy, DatabaseDown: PostgreSQL does not answer.
    """
    async with database.role("intake") as con:
        await con.fetch("select * from intake_endpoint('')")
    async with database.role("app") as con:
        await con.fetch("select * from session_find('', interval '1 second')")
