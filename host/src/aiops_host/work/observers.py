"""Plugins that observe finished runs: each told in a thread of its own time, never waited for by the work."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from aiops_core.agents import RunFinished
from aiops_core.plugins import PluginManager

log = logging.getLogger(__name__)

WAITING_LIMIT = 1000


class Observers:
    """Tells observers in order, one event at a time; drops events when far behind."""

    def __init__(self, plugins: PluginManager) -> None:
        """Start the thread lazily with the first event."""
        self._plugins = plugins
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="observers")
        self._waiting = 0
        self._failures = 0

    def tell(self, event: RunFinished) -> None:
        """Tell every observer, later; failures are logged and counted."""
        if self._waiting >= WAITING_LIMIT:
            self._failures += 1
            return
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._plugins.notify_run_finished, event)
        future.add_done_callback(self._told)

    def take_failures(self) -> int:
        """Return how many observers failed or were left out since the last call."""
        failures, self._failures = self._failures, 0
        return failures

    def close(self) -> None:
        """Drop what waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _told(self, future: asyncio.Future[tuple[tuple[str, str], ...]]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            self._failures += len(future.result())
