"""How often one address may fail."""

import pytest

from aiops_host.trust.attempts import MAX_ADDRESSES, Attempts, TooManyAttempts


class Clock:
    """A clock the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time that is set."""
        return self.now


def test_an_address_that_failed_too_often_has_to_wait() -> None:
    """It is told for how long, other addresses are not touched, and it may try again when its oldest failure is old."""
    clock = Clock()
    attempts = Attempts(3, clock=clock)
    for _ in range(3):
        attempts.check("203.0.113.9")
        attempts.failed("203.0.113.9")
        clock.now += 10
    with pytest.raises(TooManyAttempts) as refused:
        attempts.check("203.0.113.9")
    assert refused.value.retry_after == 570
    attempts.check("203.0.113.8")
    clock.now += 570
    attempts.check("203.0.113.9")
    attempts.failed("203.0.113.9")
    with pytest.raises(TooManyAttempts):
        attempts.check("203.0.113.9")


def test_a_line_has_one_count_however_many_addresses_it_has() -> None:
    """Whoever holds an IPv6 /64 cannot try from each of its addresses."""
    attempts = Attempts(1)
    attempts.failed("2001:db8::1")
    with pytest.raises(TooManyAttempts):
        attempts.check("2001:db8::2")
    attempts.check("2001:db8:0:1::1")


def test_our_own_parts_are_not_counted() -> None:
    """The dashboard, or a proxy that names no sender, stands for many people."""
    attempts = Attempts(1, exempt=lambda address: address == "127.0.0.1")
    attempts.failed("127.0.0.1")
    attempts.check("127.0.0.1")


def test_very_many_addresses_take_no_more_memory() -> None:
    """The addresses that failed last are remembered."""
    attempts = Attempts(1)
    for number in range(MAX_ADDRESSES + 1):
        attempts.failed(str(number))
    attempts.check("0")
    with pytest.raises(TooManyAttempts):
        attempts.check("1")
    with pytest.raises(TooManyAttempts):
        attempts.check(str(MAX_ADDRESSES))
