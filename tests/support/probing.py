"""What a worker makes tests with, in a thread, for tests of commands that wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID

from tests.support.databases import DatabaseUrls
from tests.support.egress import LOOPBACK
from tests.support.threads import in_thread

from aiops_core.plugins import load_plugins
from aiops_host.data import workers
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.connections import SystemClock
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.opening import in_use
from aiops_host.trust.vault import Vault
from aiops_host.work.probing import Prober
from aiops_host.work.queue import WakeListener
from aiops_host.work.workshop import Workshop

NAME = "w:1"
OFTEN = 0.05
NEVER = 3600.0


def probing_worker(urls: DatabaseUrls, key: Path, redis_url: str = "") -> AbstractContextManager[None]:
    """Have tests made inside the block, by what opens credentials with the key in the file.

    With a Redis it waits to be told of a test; without one it looks for tests.
    """
    return in_thread(_testing(urls, key, redis_url))


async def alive(urls: DatabaseUrls) -> None:
    """Give one sign of life of a worker that does nothing."""
    database = await Database.open({"sweeper": urls.sweeper}, {"sweeper": 1})
    async with database.role("sweeper") as con:
        await workers.beat(con, workers.Beat(name=NAME, slots=1, running=0, pool_in_use=0, pool_size=4))
    await database.close()


@asynccontextmanager
async def _testing(urls: DatabaseUrls, key: Path, redis_url: str) -> AsyncIterator[None]:
    roles = {"app": urls.app, "sweeper": urls.sweeper}
    database = await Database.open(roles, dict.fromkeys(roles, 4))
    vault, http = Vault.load(key), GuardedHttp.open(LOOPBACK)
    plugins, clock = load_plugins(), SystemClock()
    workshop = Workshop(database=database, settings=Settings(), plugins=plugins, vault=vault, http=http, clock=clock)
    async with in_use(vault, database, "worker"):
        await alive(urls)
        prober = Prober(workshop=workshop, worker=NAME, every=NEVER if redis_url else OFTEN)
        working = [asyncio.create_task(prober.run())]
        if redis_url:
            working.append(asyncio.create_task(WakeListener(redis_url, prober.or_else(_no_delivery), slots=1).run()))
        yield
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    await workshop.aclose()
    await http.aclose()
    await database.close()


async def _no_delivery(_tenant_id: UUID, _delivery_id: UUID) -> None:
    raise AssertionError("nobody sends deliveries here")
