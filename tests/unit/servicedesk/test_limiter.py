"""Calls stay under the cap, and history import leaves room for notes."""

import pytest

from aiops_core.errors import TicketingUnavailable
from aiops_core.testing.fakes import FrozenClock
from aiops_servicedesk.limiter import LONGEST_PAUSE, CallLimiter


class Bench:
    """A limiter on a clock that only waiting moves."""

    def __init__(self, per_minute: int) -> None:
        self.clock = FrozenClock()
        self.slept: list[float] = []
        self.limiter = CallLimiter(per_minute, self.clock, sleep=self._sleep)
        self.made: list[float] = []

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    async def call(self, times: int = 1, *, patience: float = 0.0, background: bool = False) -> None:
        """Make calls."""
        for _ in range(times):
            await self.limiter.acquire(patience=patience, background=background)
            self.made.append(self.clock.monotonic())


async def test_a_free_call_does_not_wait() -> None:
    """The whole cap may be used at once."""
    bench = Bench(30)
    await bench.call(30)
    assert bench.slept == []


async def test_no_minute_has_more_calls_than_the_cap() -> None:
    """However long calls go on, any 60 seconds hold at most the cap."""
    bench = Bench(7)
    await bench.call(50, patience=1000)
    assert all(later - first >= 60 for first, later in zip(bench.made, bench.made[7:], strict=False))
    assert bench.made[-1] - bench.made[0] == pytest.approx(420)


async def test_a_long_wait_is_refused_with_its_length() -> None:
    """A call that would wait longer than it may is refused and says when to come back."""
    bench = Bench(2)
    await bench.call(1)
    bench.clock.advance(10)
    await bench.call(1)
    with pytest.raises(TicketingUnavailable, match="2 calls a minute") as error:
        await bench.call(1, patience=49)
    assert error.value.retry_after == 50.0
    assert bench.slept == []


async def test_a_short_wait_is_waited() -> None:
    """A call whose turn comes soon waits for it."""
    bench = Bench(1)
    await bench.call(1)
    bench.clock.advance(57)
    await bench.call(1, patience=4)
    assert bench.slept == [3.0]


async def test_import_leaves_a_third() -> None:
    """Background calls take two thirds of the cap; the rest is for the others."""
    bench = Bench(30)
    await bench.call(20, background=True)
    with pytest.raises(TicketingUnavailable):
        await bench.call(1, background=True, patience=4)
    await bench.call(10)
    with pytest.raises(TicketingUnavailable):
        await bench.call(1, patience=4)


async def test_import_moves_on_at_the_smallest_cap() -> None:
    """With one call a minute the import still gets its turn."""
    bench = Bench(1)
    await bench.call(2, background=True, patience=100)
    assert bench.slept == [60.0]


async def test_pauses_grow_until_a_call_succeeds() -> None:
    """Without a wait that was asked for, each refusal doubles ours up to five minutes; a success ends that."""
    limiter = Bench(30).limiter
    assert [limiter.throttled(None) for _ in range(9)] == [2, 4, 8, 16, 32, 64, 128, 256, LONGEST_PAUSE]
    limiter.answered()
    assert limiter.throttled(None) == 2


async def test_a_shorter_pause_does_not_cut_a_longer_one() -> None:
    """A second, shorter request to wait leaves the first in force."""
    bench = Bench(30)
    bench.limiter.throttled(50)
    bench.limiter.throttled(5)
    with pytest.raises(TicketingUnavailable) as error:
        await bench.call(1, patience=10)
    assert error.value.retry_after == 50.0
