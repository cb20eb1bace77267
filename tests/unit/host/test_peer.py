"""Whose address a request is counted for."""

import pytest
from litestar.connection import ASGIConnection

from aiops_core.errors import ConfigInvalid
from aiops_host.web.peer import Peers


def seen(client: str | None, *forwarded: str, trusted: str = "127.0.0.1,10.0.0.0/8") -> str:
    """Return the address found for a request with these X-Forwarded-For headers."""
    scope = {
        "type": "http",
        "client": (client, 4711) if client else None,
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    return Peers(trusted).address_of(ASGIConnection(scope))  # type: ignore[arg-type]


def test_a_stranger_cannot_choose_their_address() -> None:
    """X-Forwarded-For of who is no believed proxy changes nothing."""
    assert seen("203.0.113.9", "198.51.100.1") == "203.0.113.9"


def test_a_believed_proxy_names_the_sender() -> None:
    """The last hop no believed proxy stands for is the sender; what the sender claimed before it is not read."""
    assert seen("127.0.0.1", "198.51.100.1") == "198.51.100.1"
    assert seen("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3") == "198.51.100.1"
    assert seen("127.0.0.1", "6.6.6.6", "198.51.100.1") == "198.51.100.1"


@pytest.mark.parametrize("nonsense", ["", "nobody", "6.6.6.6:80", "6.6.6.6, "])
def test_what_is_no_address_ends_the_way_back(nonsense: str) -> None:
    """A proxy that writes something else is itself the sender."""
    assert seen("127.0.0.1", nonsense) == "127.0.0.1"


def test_one_sender_has_one_address() -> None:
    """IPv4 within IPv6 is IPv4; no address is one too."""
    assert seen("::ffff:203.0.113.9") == "203.0.113.9"
    assert seen(None) == "unknown"


def test_a_proxy_that_is_no_address_is_refused() -> None:
    """The message names the setting."""
    with pytest.raises(ConfigInvalid, match="AIOPS_TRUSTED_PROXIES"):
        Peers("proxy.example")
