"""The guarded client tells what it refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from aiops_core.errors import HttpFailed
from aiops_host.trust.egress import GuardedHttp


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A server that answers eleven bytes to whatever is asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello world")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_an_answer_too_large_is_told(url: str) -> None:
    """One byte too many is cut off and told; an answer of the largest size is neither."""
    for limit, told in ((11, []), (10, ["size"])):
        denied: list[str] = []
        http = GuardedHttp.open(max_body_bytes=limit, denied=denied.append)
        try:
            if told:
                with pytest.raises(HttpFailed, match="more than 10 bytes"):
                    await http.request("GET", url)
            else:
                assert (await http.request("GET", url)).content == b"hello world"
        finally:
            await http.aclose()
        assert denied == told


@pytest.mark.parametrize("address", ["ftp://files.example/x", "file:///etc/passwd", "not an address", "http://"])
async def test_an_address_of_another_kind_is_told(address: str) -> None:
    """What is not HTTP is not called, and told; a server that is merely away is not."""
    denied: list[str] = []
    http = GuardedHttp.open(denied=denied.append)
    try:
        with pytest.raises(HttpFailed):
            await http.request("GET", address)
        assert denied == ["address"]
        with pytest.raises(HttpFailed):
            await http.request("GET", "http://127.0.0.1:1/")
        assert denied == ["address"]
    finally:
        await http.aclose()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://no-such-host.invalid/", "no-such-host.invalid is a name that DNS does not know here"),
        ("http://127.0.0.1:1/", "127.0.0.1:1 refuses connections"),
        ("ftp://files.example/", "files.example cannot be asked: Request URL has an unsupported protocol 'ftp://'."),
    ],
)
async def test_why_nothing_was_sent_is_said_once(address: str, says: str) -> None:
    """The reason is in plain words, without the number of a system error."""
    http = GuardedHttp.open()
    try:
        with pytest.raises(HttpFailed) as failed:
            await http.request("GET", address)
    finally:
        await http.aclose()
    assert str(failed.value) == says
    assert not failed.value.sent
