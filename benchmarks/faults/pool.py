"""Lost sessions and failing commits against a pool of five: all five must be usable afterwards."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

import asyncpg
from benchmarks.faults.checker import Verdict
from benchmarks.faults.servers import Postgres

from aiops_host.data import tenants
from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.data.session import Database, DatabaseBusy, DatabaseDown

SIZE = 5
AT_ONCE = 20
_DEFERRED = """
create table bench_deferred (
    tenant_id uuid not null references tenant deferrable initially deferred, id uuid primary key
);
grant insert on bench_deferred to aiops_app;
"""


async def exhaust(*, seed: int, count: int) -> Verdict:
    """Kill ``count`` sessions in their transactions and let ``count`` commits fail, then borrow the whole pool."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aiops-f") as folder:
        postgres = await asyncio.to_thread(Postgres, Path(folder))
        try:
            outcomes, usable = await _torment(postgres, random.Random(seed), count)
        finally:
            await asyncio.to_thread(postgres.stop)
    problems = () if usable == SIZE else (f"{usable} of {SIZE} connections are usable",)
    unexpected = 2 * count - outcomes["lost session"] - outcomes["failed commit"]
    if unexpected:
        problems = (*problems, f"{unexpected} transactions ended otherwise: {dict(outcomes)}")
    seconds = round(time.monotonic() - began, 1)
    return Verdict(2 * count, 0, 0, 0, dict(outcomes), seconds, problems, {"usable": usable})


async def _torment(postgres: Postgres, rng: random.Random, count: int) -> tuple[Counter[str], int]:
    urls = {role: postgres.url(role) for role in LOGIN_ROLES}
    await migrate(postgres.superuser_url, urls.values())
    killer = await asyncpg.connect(postgres.superuser_url)
    await killer.execute(_DEFERRED)
    database = await Database.open({"app": urls["aiops_app"]}, {"app": SIZE})
    try:
        tenant = await tenants.create(database, "bench", "bench")
        work = [True] * count + [False] * count
        rng.shuffle(work)
        gate, one_kill, outcomes = asyncio.Semaphore(AT_ONCE), asyncio.Lock(), Counter[str]()

        async def lose() -> None:
            async with database.tenant(tenant.id) as con:
                pid = await con.fetchval("select pg_backend_pid()")
                async with one_kill:
                    await killer.execute("select pg_terminate_backend($1, 5000)", pid)
                await con.fetchval("select 1")

        async def fail() -> None:
            async with database.tenant(tenant.id) as con:
                await con.execute("insert into bench_deferred values ($1, $2)", uuid4(), uuid4())

        async def one(kill: bool) -> None:
            while True:
                async with gate:
                    try:
                        await (lose() if kill else fail())
                        outcomes["survived"] += 1
                    except DatabaseBusy:
                        continue
                    except DatabaseDown:
                        outcomes["lost session"] += 1
                    except asyncpg.ForeignKeyViolationError:
                        outcomes["failed commit"] += 1
                    return

        await asyncio.gather(*map(one, work))
        return outcomes, await _usable(database, tenant.id)
    finally:
        await database.close()
        await killer.close()


async def _usable(database: Database, tenant_id: object) -> int:
    together, used = asyncio.Barrier(SIZE), 0

    async def borrow() -> int:
        async with database.tenant(tenant_id) as con:  # type: ignore[arg-type]
            async with asyncio.timeout(10):
                await together.wait()
            return int(await con.fetchval("select 1"))

    for result in await asyncio.gather(*(borrow() for _ in range(SIZE)), return_exceptions=True):
        used += result == 1
    return used
