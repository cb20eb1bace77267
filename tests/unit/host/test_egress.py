"""The guarded client: whom it calls, how much it reads, and what it tells of a refusal."""
# ruff: noqa: S104, RUF001 - spellings that are to be refused

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from tests.support.egress import LOOPBACK

from aiops_core.errors import AnswerTooLarge, HttpFailed
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp


@dataclass
class Canary:
    """A server on every local address that counts who connects and answers with ``answer``."""

    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello world"
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count, read a head, answer."""
        self.connections += 1
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    """The server."""
    made = Canary()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as four:
        made.port = four.sockets[0].getsockname()[1]
        async with await asyncio.start_server(made.serve, "::1", made.port):
            yield made


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    """A client that may call this machine."""
    made = GuardedHttp.open(LOOPBACK)
    yield made
    await made.aclose()


async def test_an_answer_too_large_is_told(canary: Canary) -> None:
    """One byte too many is cut off and told; an answer of the largest size is neither."""
    for limit, told in ((11, []), (10, ["size"])):
        denied: list[str] = []
        http = GuardedHttp.open(LOOPBACK, max_body_bytes=limit, denied=denied.append)
        try:
            if told:
                with pytest.raises(AnswerTooLarge, match="more than 10 bytes"):
                    await http.request("GET", canary.url)
            else:
                assert (await http.request("GET", canary.url)).content == b"hello world"
        finally:
            await http.aclose()
        assert denied == told


@pytest.mark.attack(15)
async def test_a_zip_bomb_is_cut_off_by_what_it_unpacks_to(canary: Canary) -> None:
    """The bound counts decoded bytes: 64 MiB packed into 64 KiB are not read."""
    packed = gzip.compress(bytes(64 * 1024 * 1024))
    canary.answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n" + packed
    http = GuardedHttp.open(LOOPBACK, max_body_bytes=1024 * 1024)
    try:
        with pytest.raises(AnswerTooLarge):
            await http.request("GET", canary.url)
    finally:
        await http.aclose()


async def test_a_redirect_is_an_answer(canary: Canary, http: GuardedHttp) -> None:
    """Nothing is followed: the caller sees the redirect."""
    canary.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    assert (await http.request("GET", canary.url)).status_code == 302
    assert canary.connections == 1


async def test_no_proxy_and_no_cookie_is_taken(
    canary: Canary, http: GuardedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment names no proxy to it, and a cookie set is not sent back."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    canary.answer = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    for _ in range(2):
        await http.request("GET", canary.url)
    assert b"cookie" not in canary.heads[1].lower()


async def test_a_write_is_sent_once(canary: Canary, http: GuardedHttp) -> None:
    """A connection that breaks off after the request was sent is not tried again: the write may have arrived."""
    canary.answer = b""
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(HttpFailed) as failed:
            await http.request(method, canary.url, content=b"x")
        assert failed.value.sent
    assert canary.connections == 3


@pytest.mark.parametrize(
    "address",
    ["ftp://files.example/x", "file:///etc/passwd", "not an address", "http://", "https://a:b@files.example/"],
)
async def test_an_address_of_another_kind_is_told(address: str) -> None:
    """What is not HTTP is not called, and told; a server that is merely away is not."""
    denied: list[str] = []
    http = GuardedHttp.open(LOOPBACK, denied=denied.append)
    try:
        with pytest.raises(HttpFailed) as failed:
            await http.request("GET", address)
        assert not failed.value.sent
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
        (
            "ftp://files.example/",
            "files.example cannot be asked: an address is of the form https://host/path, without a user",
        ),
        (
            "https://10.1.2.3:8080/",
            "10.1.2.3:8080 is at 10.1.2.3, a private or special address; the operator may allow it with "
            "AIOPS_EGRESS_PRIVATE=10.1.2.3/32",
        ),
    ],
)
async def test_why_nothing_was_sent_is_said_once(http: GuardedHttp, address: str, says: str) -> None:
    """The reason is in plain words, without the number of a system error."""
    with pytest.raises(HttpFailed) as failed:
        await http.request("GET", address)
    assert str(failed.value) == says
    assert not failed.value.sent


def spellings(port: int) -> list[str]:
    """Return ways to write an address of this machine: numbers, bases, wraps, names, users, cases, dots and escapes."""
    four = ["127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001"]
    four += [
        "127.000.000.001",
        "0",
        "0.0.0.0",
        "127.255.255.254",
        "00127.0.0.1",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "１２７.0.0.1",
    ]
    four += ["127。0。0。1", "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "localhost", "LOCALHOST", "localhost.", "lOcAlHoSt"]
    six = [
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "::7f00:1",
        "64:ff9b::127.0.0.1",
    ]
    six += ["2002:7f00:1::", "::", "::1%25lo", "fe80::1%25lo", "::ffff:0:127.0.0.1", "0000::0001"]
    hosts = [*four, *(f"[{address}]" for address in six), *six]
    schemes = ["http://", "https://", "HTTP://", "http:/", "http:", "//", "http:\\\\", "https:////"]
    users = ["", "a@", "a:b@", "1.1.1.1@", "example.com%40"]
    tails = [f":{port}", f":0{port}", f":{port}/x", f":{port}#@example.com", f":{port}?@1.1.1.1", f":{port}\\@1.1.1.1/"]
    return [s + u + h + t for s, u, h, t in itertools.product(schemes, users, hosts, tails)]


@pytest.mark.attack(17, figure="more than 2,000 spellings")
async def test_no_spelling_of_a_forbidden_address_is_called(canary: Canary) -> None:
    """Two thousand and more ways to write this machine's address: none is connected to, each is refused before."""
    http = GuardedHttp.open(Destinations(), total_seconds=5)
    tried = spellings(canary.port)
    assert len(tried) > 2_000
    try:
        for address in tried:
            with pytest.raises(HttpFailed) as failed:
                await http.request("GET", address)
            assert not failed.value.sent, address
    finally:
        await http.aclose()
    assert canary.connections == 0


async def test_the_spellings_would_reach_the_canary(canary: Canary, http: GuardedHttp) -> None:
    """The same spellings do connect where the operator lists this machine, so that the refusals mean something."""
    for address in spellings(canary.port)[:300]:
        try:
            await http.request("GET", address, timeout=2)
        except HttpFailed:
            continue
    assert canary.connections >= 10
