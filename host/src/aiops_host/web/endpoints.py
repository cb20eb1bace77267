"""A small cache of endpoints by their id, so that a warm webhook costs one round trip."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Known = TypeVar("Known")

FRESH_SECONDS = 60.0
UNKNOWN_SECONDS = 10.0
CAPACITY = 4096


class EndpointCache(Generic[Known]):
    """Known endpoints for a minute, unknown ids for ten seconds; each kind bounded, so that one cannot evict the other."""

    def __init__(self, *, capacity: int = CAPACITY, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take how many endpoints, and how many unknown ids, are remembered at most."""
        self._capacity = capacity
        self._now = monotonic
        self._known: OrderedDict[str, tuple[float, Known]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()

    def get(self, endpoint_id: str) -> tuple[bool, Known | None]:
        """Return whether the answer is remembered, and the answer: ``None`` for an id known not to exist."""
        now = self._now()
        until, known = self._known.get(endpoint_id, (0.0, None))
        if known is not None and now < until:
            return True, known
        return now < self._unknown.get(endpoint_id, 0.0), None

    def put(self, endpoint_id: str, known: Known | None) -> None:
        """Remember an answer."""
        now = self._now()
        if known is None:
            self._unknown[endpoint_id] = now + UNKNOWN_SECONDS
            _trim(self._unknown, self._capacity)
        else:
            self._known[endpoint_id] = (now + FRESH_SECONDS, known)
            self._known.move_to_end(endpoint_id)
            _trim(self._known, self._capacity)

    def forget(self, endpoint_id: str) -> None:
        """Look the endpoint up again next time."""
        self._known.pop(endpoint_id, None)


def _trim(
    entries: OrderedDict[str, object] | OrderedDict[str, float] | OrderedDict[str, tuple[float, Known]], capacity: int
) -> None:
    while len(entries) > capacity:
        entries.popitem(last=False)
