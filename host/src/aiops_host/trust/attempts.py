"""How often one address may fail at a door before it has to wait."""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

from aiops_core.errors import AiopsError

WINDOW_SECONDS = 600.0
MAX_ADDRESSES = 10_000


class TooManyAttempts(AiopsError):
    """Too many failed attempts from this address; wait a moment and try again.

    Host: answers 429 with Retry-After.
    """

    def __init__(self, message: str = "", *, retry_after: int) -> None:
        """Take how many seconds to wait."""
        super().__init__(message or None)
        self.retry_after = retry_after


class Attempts:
    """Failures of the last ten minutes by address, in this process; of very many addresses the last ones."""

    def __init__(
        self,
        most: int,
        *,
        exempt: Callable[[str], bool] = lambda _address: False,
        window: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take how many failures an address has within the window, in seconds, and which addresses are not counted."""
        self._most = most
        self._exempt = exempt
        self._window = window
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Let an address try.

        Raises:
            TooManyAttempts: It has failed too often; says when the oldest failure is forgotten.
        """
        failures = self._failures.get(line_of(address))
        if not failures:
            return
        now = self._clock()
        while failures and failures[0] <= now - self._window:
            failures.popleft()
        if len(failures) >= self._most:
            raise TooManyAttempts(retry_after=math.ceil(failures[0] + self._window - now))

    def failed(self, address: str) -> None:
        """Count a failure."""
        if self._exempt(address):
            return
        line = line_of(address)
        self._failures.setdefault(line, deque(maxlen=self._most)).append(self._clock())
        self._failures.move_to_end(line)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


def line_of(address: str) -> str:
    """Return what stands for whoever has many addresses: of IPv6 the /64 that one line is given."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address
