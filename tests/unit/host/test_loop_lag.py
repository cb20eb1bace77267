"""How late the event loop is, as operators see it."""

import asyncio
import time
from dataclasses import dataclass

from aiops_host.watch.loop_lag import KEPT_SECONDS, Longest, watching_loop
from aiops_host.watch.metrics import Metrics


@dataclass
class Clock:
    """A clock that is told the time."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_the_longest_is_kept_for_a_minute() -> None:
    """It stands until a longer one comes or a minute is over; then the next longest of the last minute does."""
    clock = Clock()
    longest = Longest(clock)
    assert longest() == 0
    for value in (0.1, 0.9, 0.2, 0.4, 0.3):
        longest.add(value)
        clock.now += 10
    assert longest() == 0.9
    clock.now += KEPT_SECONDS - 35
    assert longest() == 0.4
    clock.now += KEPT_SECONDS
    assert longest() == 0
    longest.add(0.2)
    assert longest() == 0.2


async def test_a_blocked_loop_shows() -> None:
    """Code that blocks the loop for a while makes the lag about as long, and it is counted as one."""
    metrics = Metrics()
    async with watching_loop(metrics):
        await asyncio.sleep(0.2)
        time.sleep(0.6)  # noqa: ASYNC251 - that is the fault
        await asyncio.sleep(0.2)
        longest = metrics.registry.get_sample_value("event_loop_lag_max_seconds")
        turn = metrics.registry.get_sample_value("event_loop_turn_max_seconds")
    assert turn is not None
    assert turn < 0.3  # it slept
    assert longest is not None
    assert longest >= 0.5
    seen = metrics.registry.get_sample_value("event_loop_lag_seconds_count")
    within = metrics.registry.get_sample_value("event_loop_lag_seconds_bucket", {"le": "0.5"})
    assert seen is not None
    assert within is not None
    assert seen - within >= 1
