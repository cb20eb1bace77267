"""Providers that keep failing are left out, and let in again by one call at a time."""

from __future__ import annotations

from uuid import uuid4

from aiops_host.work.breaker import Breaker, Breakers


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the present."""
        return self.now


def opened(clock: Clock) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(3, 30.0, clock)
    for _ in range(3):
        assert breaker.enter()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    """Three failures in a row open it, a success between them starts the count anew."""
    breaker = Breaker(3, 30.0, Clock())
    for ended in (breaker.failed, breaker.failed, breaker.worked, breaker.failed, breaker.failed):
        assert breaker.enter()
        ended()
        assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.enter()


def test_after_a_while_one_call_tries() -> None:
    """When its time is over it lets one call through, and others only once that one worked."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 29.9
    assert not breaker.enter()
    clock.now = 30.0
    assert breaker.state == "half-open"
    assert breaker.enter()
    assert not breaker.enter()
    breaker.worked()
    assert breaker.state == "closed"
    assert breaker.enter()


def test_a_failed_trial_opens_it_again() -> None:
    """One failure of the trial is enough, and the time starts anew."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 30.0
    assert breaker.enter()
    breaker.failed()
    assert breaker.state == "open"
    clock.now = 59.9
    assert not breaker.enter()
    clock.now = 60.0
    assert breaker.enter()


def test_a_trial_that_tells_nothing_leaves_room_for_the_next() -> None:
    """A trial that was cancelled or refused for its own content neither opens nor closes it, and is not waited for."""
    clock = Clock()
    breaker = opened(clock)
    clock.now = 30.0
    assert breaker.enter()
    breaker.left()
    assert breaker.state == "half-open"
    assert breaker.enter()


def test_each_tenant_provider_and_key_has_its_own() -> None:
    """One tenant's failures leave others alone, and a change of its keys starts anew."""
    breakers = Breakers(1, 30.0, Clock())
    a, b = uuid4(), uuid4()
    breakers.of(a, "openai", 1).failed()
    assert breakers.of(a, "openai", 1).state == "open"
    for other in ((b, "openai", 1), (a, "azure", 1), (a, "openai", 2)):
        assert breakers.of(*other).state == "closed"
    assert breakers.count("open") == 1
