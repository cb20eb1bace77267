"""A cap on calls per minute, kept on our side because ServiceDesk Plus throttles without publishing its limits."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aiops_core.errors import TicketingUnavailable
from aiops_core.services import Clock

WINDOW_SECONDS: Final = 60.0
BACKGROUND_SHARE: Final = 2 / 3
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0


class CallLimiter:
    """At most ``per_minute`` calls in any 60 seconds; history import may take two thirds, so that notes get through."""

    def __init__(
        self, per_minute: int, clock: Clock, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Take the cap, the clock and how to wait."""
        self._per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._calls: deque[float] = deque()
        self._paused_until = 0.0
        self._pause = FIRST_PAUSE

    async def acquire(self, *, patience: float, background: bool = False) -> None:
        """Wait for a free call.

        Args:
            patience: How many seconds to wait at most.
            background: The call may take only the background's share.

        Raises:
            TicketingUnavailable: The wait would be longer; ``retry_after`` has it, in whole seconds.
        """
        deadline = self._clock.monotonic() + patience
        while (wait := self._wait(background=background)) > 0:
            if self._clock.monotonic() + wait > deadline:
                raise TicketingUnavailable(
                    f"The connection's cap of {self._per_minute} calls a minute, or a pause ServiceDesk Plus asked for,"
                    f" leaves no call for {wait:.0f} s.",
                    retry_after=float(math.ceil(wait)),
                )
            await self._sleep(wait)
        self._calls.append(self._clock.monotonic())

    def throttled(self, retry_after: float | None) -> float:
        """Make no call for as long as was asked, or ever longer while nothing was; return the seconds."""
        if retry_after is None:
            retry_after, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        self._paused_until = max(self._paused_until, self._clock.monotonic() + retry_after)
        return retry_after

    def answered(self) -> None:
        """Take note that a call was not throttled."""
        self._pause = FIRST_PAUSE

    def _wait(self, *, background: bool) -> float:
        now = self._clock.monotonic()
        while self._calls and self._calls[0] <= now - WINDOW_SECONDS:
            self._calls.popleft()
        allowed = max(1, int(self._per_minute * BACKGROUND_SHARE)) if background else self._per_minute
        over = len(self._calls) - allowed
        full = self._calls[over] + WINDOW_SECONDS - now if over >= 0 else 0.0
        return max(full, self._paused_until - now)
