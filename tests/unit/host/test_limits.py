"""Buckets of requests: what is taken, what comes back, and how many are kept."""

import pytest

from aiops_host.web.limits import Buckets


class Clock:
    """Time that goes on when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.mark.promise("rate-limits")
def test_a_bucket_is_emptied_and_refilled_evenly() -> None:
    """A minute's requests may come at once; the next is told how long to wait, and waiting so long is enough."""
    clock = Clock()
    buckets = Buckets(60, clock)
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60
    assert buckets.take("a") == pytest.approx(1.0)
    clock.now = 0.5
    assert buckets.take("a") == pytest.approx(0.5)
    clock.now = 1.0
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == pytest.approx(1.0)


def test_keys_have_buckets_of_their_own() -> None:
    """One key that asks too often takes nothing from another, and a full bucket gets no fuller."""
    clock = Clock()
    buckets = Buckets(2, clock)
    assert [bool(buckets.take("a")) for _ in range(3)] == [False, False, True]
    assert buckets.take("b") == 0.0
    clock.now = 3600.0
    assert [bool(buckets.take("a")) for _ in range(3)] == [False, False, True]


def test_the_number_of_buckets_is_bounded() -> None:
    """Of many keys the longest unused is forgotten, so that inventing addresses fills no memory."""
    buckets = Buckets(1, Clock(), most=2)
    for key in ("a", "b", "a", "c"):
        buckets.take(key)
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0.0


def test_no_limit_is_no_limit() -> None:
    """Size 0 lets everything pass and keeps nothing."""
    buckets = Buckets(0, Clock())
    assert {buckets.take("a") for _ in range(1000)} == {0.0}
