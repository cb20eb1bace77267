"""The cache of endpoints."""

from dataclasses import dataclass

from aiops_host.web.endpoints import FRESH_SECONDS, UNKNOWN_SECONDS, EndpointCache


@dataclass
class Hand:
    """A clock's hand."""

    at: float = 1000.0

    def __call__(self) -> float:
        """Return where it stands."""
        return self.at


def test_an_answer_is_remembered_for_its_time_only() -> None:
    """A known endpoint counts for at most a minute, an unknown id for ten seconds."""
    hand = Hand()
    cache: EndpointCache[str] = EndpointCache(monotonic=hand)
    assert cache.get("a") == (False, None)
    cache.put("a", "known")
    cache.put("b", None)
    hand.at += UNKNOWN_SECONDS - 0.1
    assert (cache.get("a"), cache.get("b")) == ((True, "known"), (True, None))
    hand.at += 0.2
    assert cache.get("b") == (False, None)
    hand.at = 1000.0 + FRESH_SECONDS
    assert cache.get("a") == (False, None)
    assert FRESH_SECONDS <= 60


def test_a_flood_of_unknown_ids_evicts_no_known_endpoint() -> None:
    """Each kind is bounded by itself; the oldest of a kind goes first."""
    cache: EndpointCache[str] = EndpointCache(capacity=3)
    cache.put("known", "here")
    for number in range(100):
        cache.put(f"unknown-{number}", None)
    assert cache.get("known") == (True, "here")
    assert cache.get("unknown-0") == (False, None)
    assert cache.get("unknown-99") == (True, None)
    for number in range(3):
        cache.put(f"known-{number}", "there")
    assert cache.get("known") == (False, None)


def test_what_is_forgotten_is_looked_up_again() -> None:
    """An endpoint that turned out to be gone is asked for anew; forgetting twice is harmless."""
    cache: EndpointCache[str] = EndpointCache()
    cache.put("a", "known")
    cache.forget("a")
    cache.forget("a")
    assert cache.get("a") == (False, None)


def test_an_endpoint_made_after_it_was_asked_for_is_found() -> None:
    """A known answer counts over an earlier unknown one."""
    cache: EndpointCache[str] = EndpointCache()
    cache.put("a", None)
    cache.put("a", "known")
    assert cache.get("a") == (True, "known")
