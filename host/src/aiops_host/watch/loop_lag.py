"""How late the event loop is: whatever blocks it makes every delivery and every request of the process wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiops_host.watch.metrics import Metrics

EVERY_SECONDS = 0.05
"""A block is seen up to this much shorter than it was; twenty looks a second cost 0.4 % of a core."""
KEPT_SECONDS = 60.0


class Longest:
    """The longest of the values added within the last minute; 0 without any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock in seconds."""
        self._clock = clock
        self._falling: deque[tuple[float, float]] = deque()
        """Times and values of those that no later one exceeds: at most one a look, nearly always a handful."""

    def add(self, value: float) -> None:
        """Take a value; those before it that are not longer will never be the longest again."""
        now = self._clock()
        while self._falling and self._falling[-1][1] <= value:
            self._falling.pop()
        self._falling.append((now, value))
        while self._falling[0][0] < now - KEPT_SECONDS:
            self._falling.popleft()

    def __call__(self) -> float:
        """Return the longest; may be called from another thread."""
        since = self._clock() - KEPT_SECONDS
        return next((value for at, value in tuple(self._falling) if at >= since), 0.0)


@asynccontextmanager
async def watching_loop(metrics: Metrics) -> AsyncIterator[None]:
    """Measure while the block runs."""
    lags, turns = Longest(), Longest()
    metrics.longest_lag.set_function(lags)
    metrics.longest_turn.set_function(turns)
    watching = asyncio.create_task(_watch(metrics, lags, turns))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _watch(metrics: Metrics, lags: Longest, turns: Longest) -> None:
    while True:
        due, used = time.monotonic() + EVERY_SECONDS, time.thread_time()
        await asyncio.sleep(EVERY_SECONDS)
        lag = max(time.monotonic() - due, 0.0)
        metrics.loop_lag.observe(lag)
        lags.add(lag)
        turns.add(time.thread_time() - used)
