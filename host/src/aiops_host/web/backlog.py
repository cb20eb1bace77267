"""What waits, shown by the host too: it is there to be scraped when no worker is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiops_host.data import census
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.session import Database
from aiops_host.watch.metrics import Metrics

COUNT_SECONDS = 5.0


@asynccontextmanager
async def watching_backlog(database: Database, metrics: Metrics, *, wanted: bool) -> AsyncIterator[None]:
    """Count every few seconds while the block runs, if it is wanted; ``database`` then has the role ``sweeper``."""
    counting = asyncio.create_task(_count(database, metrics)) if wanted else None
    try:
        yield
    finally:
        if counting is not None:
            counting.cancel()
            await asyncio.wait([counting])


async def _count(database: Database, metrics: Metrics) -> None:
    while True:
        with contextlib.suppress(*TRY_AGAIN):
            async with database.role("sweeper") as con:
                metrics.backlog.show(await census.take(con))
        await asyncio.sleep(COUNT_SECONDS)
