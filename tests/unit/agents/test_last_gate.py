"""The last gate before the network: a request with a key goes below the key's address or nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from aiops_agents.backends.binding import OnlyTo
from aiops_core import HttpFailed


class Outside:
    """Everything that would leave the machine; each request is answered as refused."""

    def __init__(self) -> None:
        """Start with nothing sent."""
        self.sent: list[str] = []

    async def request(self, _method: str, url: str, **_given: Any) -> Any:
        """Note the request and fail."""
        self.sent.append(url)
        raise HttpFailed("nobody is there", sent=False)


@pytest.mark.attack(18)
@pytest.mark.parametrize(
    "url",
    [
        "https://llm.example.evil.example/v1/chat/completions",
        "https://evil.example/v1/chat/completions",
        "http://llm.example/v1/chat/completions",
        "https://llm.example:8443/v1/chat/completions",
        "https://llm.example/v1/../admin",
        "https://llm.example/v1/%2e%2e/admin",
        "https://llm.example/v1/.%2E/admin",
        "https://llm.example/v1evil/chat",
        "https://llm.example/admin",
        "https://user@evil.example/v1/x",
    ],
)
async def test_the_last_gate_holds(url: str) -> None:
    """Whatever the library asks for, a request that is not below the key's address is not sent."""
    outside = Outside()
    with pytest.raises(HttpFailed, match="example is not where the key belongs") as failed:
        await OnlyTo(outside, "https://llm.example/v1").request("POST", url)
    assert outside.sent == []
    assert not failed.value.sent


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://llm.example/v1/", "https://llm.example/v1/x"),
        ("https://llm.example", "https://llm.example/anything"),
        ("https://llm.example:443/v1", "https://llm.example/v1"),
        ("http://llm.lan/v1", "http://llm.lan:80/v1/x"),
        ("http://llm.lan:11434", "http://llm.lan:11434/v1/x"),
    ],
)
async def test_an_address_may_be_written_in_several_ways(address: str, url: str) -> None:
    """A slash at the end, no path, and the usual port of either scheme make no difference, and the answer comes back."""

    class Answers:
        async def request(self, *asked: str, **given: Any) -> Any:
            return *asked, given

    answer: Any = await OnlyTo(Answers(), address).request("POST", url, content=b"x")
    assert answer == ("POST", url, {"content": b"x"})


@pytest.mark.attack(18)
@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://llm.lan/v1", "http://llm.lan:81/v1"),
        ("http://llm.lan:11434", "http://llm.lan/v1"),
        ("http://llm.lan:11434", "http://llm.lan:11435/v1"),
        ("https://llm.example", "http://llm.example:443/v1"),
        ("https://llm.example", "https://llm.example:444/v1"),
        ("https://llm.example:444", "https://llm.example:445/v1"),
    ],
)
async def test_another_port_is_elsewhere(address: str, url: str) -> None:
    """The key's host at another port, or by the other scheme, is somebody else."""
    outside = Outside()
    with pytest.raises(HttpFailed, match="not where the key belongs"):
        await OnlyTo(outside, address).request("POST", url)
    assert outside.sent == []


async def test_what_belongs_there_is_sent() -> None:
    """Requests below the address pass, with the usual port written or not."""
    outside = Outside()
    for url in ("https://llm.example/v1/chat/completions", "https://llm.example:443/v1", "https://LLM.example/v1/x"):
        with pytest.raises(HttpFailed, match="nobody is there"):
            await OnlyTo(outside, "https://llm.example/v1").request("POST", url)
    assert len(outside.sent) == 3
