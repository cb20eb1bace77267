"""A worker says that it lives, whether or not it has work."""

import asyncio
import contextlib
from typing import Any, cast

from aiops_core import PluginManager
from aiops_host.data import workers
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.watch.metrics import Metrics
from aiops_host.work.dispatch import Dispatcher
from aiops_host.work.observers import Observers


async def test_an_idle_worker_says_that_it_lives(opened: Database) -> None:
    """As soon as it watches, the host sees its name, its slots and its pool."""
    nothing = cast("Any", None)
    dispatcher = Dispatcher(
        database=opened,
        settings=Settings(slots=3),
        pipeline=nothing,
        workshop=nothing,
        observers=Observers(PluginManager()),
        metrics=Metrics(),
        worker="w:9",
    )
    watching = asyncio.create_task(dispatcher.watch())
    try:
        async with asyncio.timeout(30):
            while not (seen := await workers.list_(opened)):  # noqa: ASYNC110 - another task writes to PostgreSQL
                await asyncio.sleep(0.05)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    assert [(w.name, w.alive, w.slots, w.running) for w in seen] == [("w:9", True, 3, 0)]
    assert seen[0].pool_size == opened.usage()[1]
