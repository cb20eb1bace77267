"""PostgreSQL takes something away in the middle of what reads table after table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

_BLOCKED = """
select pid from pg_stat_activity
where datname = current_database() and usename = 'aiops_app' and wait_event_type = 'Lock'
"""
KILL = "select pg_terminate_backend(pid) from pg_stat_activity where pid = any($1)"


@asynccontextmanager
async def held(superuser: str, table: str, *, then: Sequence[str] = (), kill: bool = False) -> AsyncIterator[None]:
    """Hold a table until somebody wants to read it while the block runs, then change the schema or kill the reader.

    Args:
        superuser: The database, as a superuser.
        table: What is held.
        then: Statements executed, and committed, before the table is let go.
        kill: Whether the reader's backend is ended.
    """
    con, ready = await asyncpg.connect(superuser), asyncio.Event()

    async def hold() -> None:
        async with con.transaction():
            await con.execute(f'lock table "{table}" in access exclusive mode')
            ready.set()
            blocked = [row["pid"] for row in await _blocked(con)]
            if kill:
                await con.fetch(KILL, blocked)
            for statement in then:
                await con.execute(statement)

    holding = asyncio.create_task(hold())
    try:
        await ready.wait()
        yield
        async with asyncio.timeout(10):  # who wanted to read it has done so
            await holding
    finally:
        holding.cancel()
        await asyncio.wait([holding])
        await con.close()


async def _blocked(con: asyncpg.Connection) -> list[asyncpg.Record]:
    while not (found := await con.fetch(_BLOCKED)):
        await asyncio.sleep(0.02)
        await con.execute("select pg_stat_clear_snapshot()")  # or the transaction sees who was there at its first look
    return list(found)
