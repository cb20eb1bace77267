"""Providers that keep failing are left out for a while, one tenant at a time.

The state lives in a worker's memory: a new worker tries each provider anew, and several workers find out each for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

BreakerState = Literal["closed", "open", "half-open"]
KEPT = 10_000


@dataclass(slots=True)
class Breaker:
    """One provider for one tenant: ``closed`` lets calls through, ``open`` none, ``half-open`` one to try."""

    failures: int
    seconds: float
    clock: Callable[[], float]
    in_a_row: int = 0
    opened_at: float | None = None
    trying: bool = False

    @property
    def state(self) -> BreakerState:
        """What it lets through now."""
        if self.opened_at is None:
            return "closed"
        return "open" if self.clock() < self.opened_at + self.seconds else "half-open"

    def enter(self) -> bool:
        """Return whether a call may be made; who was let through says how it ended by one of the others."""
        if self.opened_at is None:
            return True
        if self.state == "open" or self.trying:
            return False
        self.trying = True
        return True

    def worked(self) -> None:
        """The provider answered."""
        self.in_a_row, self.opened_at, self.trying = 0, None, False

    def failed(self) -> None:
        """The provider failed."""
        self.in_a_row += 1
        if self.trying or self.in_a_row >= self.failures:
            self.opened_at = self.clock()
        self.trying = False

    def left(self) -> None:
        """The call ended without telling anything about the provider."""
        self.trying = False


@dataclass(slots=True)
class Breakers:
    """The breakers of one worker."""

    failures: int
    seconds: float
    clock: Callable[[], float]
    _made: OrderedDict[tuple[UUID, str, int], Breaker] = field(default_factory=OrderedDict)

    def of(self, tenant_id: UUID, provider: str, version: int) -> Breaker:
        """Return the breaker of a tenant's provider; a change of the tenant's keys (``version``) starts a new one."""
        key = (tenant_id, provider, version)
        if key not in self._made:
            self._made[key] = Breaker(self.failures, self.seconds, self.clock)
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]

    def count(self, state: BreakerState) -> int:
        """Return how many are in the state."""
        return sum(breaker.state == state for breaker in self._made.values())
