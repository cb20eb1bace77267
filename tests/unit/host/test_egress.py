"""The guarded client: whom it calls, how much it reads, and what it tells of a refusal."""
# ruff: noqa: S104, RUF001 - spellings that are to be refused

import asyncio
import contextlib
import datetime
import gzip
import ipaddress
import itertools
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
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


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://[::1", "the address cannot be asked: "),
        ("http://127.0.0.1:0/", "127.0.0.1:0 cannot be asked: an address is of the form"),
        ("https://a@files.example/", "files.example cannot be asked: an address is of the form"),
        ("https://:b@files.example/", "files.example cannot be asked: an address is of the form"),
        ("/only/a/path", "the address cannot be asked: an address is of the form"),
        ("http://1.1.1.1/", "1.1.1.1 is a public address, which is called by https only"),
        ("https://1.1.1.1:8443/", "1.1.1.1:8443 is to be called at port 8443"),
    ],
)
async def test_what_cannot_be_asked_is_named(address: str, says: str) -> None:
    """Whoever entered an address reads what is wrong with it; nothing was sent, and it is counted."""
    denied: list[str] = []
    http = GuardedHttp.open(LOOPBACK, denied=denied.append)
    with pytest.raises(HttpFailed) as failed:
        await http.request("GET", address)
    await http.aclose()
    assert str(failed.value).startswith(says)
    assert not failed.value.sent
    assert denied == ["address"]


@pytest.mark.attack(17)
async def test_a_name_that_leads_to_this_machine_is_told(canary: Canary) -> None:
    """A name is refused for the address behind it, and counted once."""
    denied: list[str] = []
    http = GuardedHttp.open(Destinations(), denied=denied.append)
    with pytest.raises(HttpFailed, match=rf"^localhost:{canary.port} is at .*, a private or special address") as failed:
        await http.request("GET", f"http://localhost:{canary.port}/")
    await http.aclose()
    assert not failed.value.sent
    assert denied == ["address"]
    assert canary.connections == 0


async def test_a_request_is_sent_as_it_was_made(
    canary: Canary, http: GuardedHttp, caplog: pytest.LogCaptureFixture
) -> None:
    """Method, query, headers and body arrive; what is added is the least; the log says where and how much, never what."""
    caplog.set_level(logging.DEBUG, "aiops_host.trust.egress")
    answer = await http.request(
        "PUT", f"{canary.url}x?a=1", params={"b": "c d"}, headers={"X-Own": "yes"}, content=b"body"
    )
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "11", b"hello world")
    first, *rest = canary.heads[0].decode().lower().strip().split("\r\n")
    assert first == "put /x?a=1&b=c+d http/1.1"
    assert sorted(rest) == [
        "accept-encoding: gzip, deflate",
        "accept: */*",
        "content-length: 4",
        f"host: 127.0.0.1:{canary.port}",
        "user-agent: aiops",
        "x-own: yes",
    ]
    assert "hello" not in repr(answer)
    assert [r.getMessage() for r in caplog.records if r.name.startswith("aiops")] == [
        f"PUT at 127.0.0.1:{canary.port}: 200, 11 bytes"
    ]


async def test_the_bounds_are_those_promised() -> None:
    """Thirty seconds, 8 MiB, a hundred connections, each kept for 15 seconds; who asks for other bounds shares them."""
    http = GuardedHttp.open(LOOPBACK)
    assert (http.total_seconds, http.max_body_bytes) == (30, 8 * 1024 * 1024)
    for session in (http._plain, http._secure):
        assert session.connector is not None
        assert session.connector.limit == 100
        assert session.connector._keepalive_timeout == 15
        assert session.timeout.sock_connect == 5
    patient = http.patient(total_seconds=110, max_body_bytes=7)
    assert (patient.total_seconds, patient.max_body_bytes) == (110, 7)
    assert (patient._plain, patient._secure) == (http._plain, http._secure)
    await http.aclose()
    for address in ("http://127.0.0.1:1/", "https://127.0.0.1:1/"):
        with pytest.raises(RuntimeError, match="closed"):
            await http.request("GET", address)


@pytest.mark.parametrize(("total", "timeout", "limit"), [(0.2, None, "0.2"), (0.2, 20, "0.2"), (20, 0.3, "0.3")])
async def test_an_answer_that_does_not_come_is_told(total: float, timeout: float | None, limit: str) -> None:
    """The shorter of the caller's time and the client's own counts; the request may have arrived."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    http = GuardedHttp.open(LOOPBACK, total_seconds=total)
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(HttpFailed) as failed:
            await http.request("GET", f"http://127.0.0.1:{port}/", timeout=timeout)
        await http.aclose()
    assert str(failed.value) == f"127.0.0.1:{port} did not answer within {limit} s"
    assert failed.value.sent


async def test_an_exchange_that_breaks_off_is_told(canary: Canary, http: GuardedHttp) -> None:
    """An answer that is cut, or a header nobody can send, ends in one error; the write may have arrived."""
    canary.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\nhello"
    with pytest.raises(HttpFailed, match=rf"^127.0.0.1:{canary.port} broke off: .*Not enough data") as failed:
        await http.request("GET", canary.url)
    assert failed.value.sent
    with pytest.raises(HttpFailed, match=rf"^127.0.0.1:{canary.port} broke off: ."):
        await http.request("GET", canary.url, headers={"X-Own": "a\r\nb"})


@pytest.mark.parametrize(("size", "fits"), [(65_500, True), (65_560, False)])
async def test_a_head_is_bounded(canary: Canary, http: GuardedHttp, size: int, fits: bool) -> None:
    """An answer's header of 64 KiB is read, a longer one is not."""
    canary.answer = b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * size + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with contextlib.nullcontext() if fits else pytest.raises(HttpFailed, match="broke off"):
        assert len((await http.request("GET", canary.url)).headers["x-long"]) == size


@pytest.mark.parametrize(
    ("error", "says", "told"),
    [
        (aiohttp.ConnectionTimeoutError(), "takes no connection within 5 s", []),
        (aiohttp.ConnectionTimeoutError("slow"), "takes no connection within 5 s", []),
        (aiohttp.InvalidURL("x", "no host"), "cannot be asked: x - no host", ["address"]),
    ],
)
async def test_what_kept_a_request_from_being_sent_is_said(
    monkeypatch: pytest.MonkeyPatch, error: Exception, says: str, told: list[str]
) -> None:
    """A server that takes no connection, and an address the library refuses, got nothing; only the latter is counted."""

    async def connect(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect)
    denied: list[str] = []
    http = GuardedHttp.open(LOOPBACK, denied=denied.append)
    with pytest.raises(HttpFailed) as failed:
        await http.request("GET", "http://127.0.0.1:1/")
    await http.aclose()
    assert str(failed.value) == f"127.0.0.1:1 {says}"
    assert not failed.value.sent
    assert denied == told


@pytest.mark.attack(17)
async def test_a_public_name_is_called_by_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """By plain http it is refused for what it leads to; by https the connection goes to the address that was vetted."""
    called: list[object] = []

    async def connect(addr_infos: list[tuple[object, ...]], **_: object) -> None:
        called.extend(info[-1] for info in addr_infos)
        raise OSError("no network here")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", connect)
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda _host, port, *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))],
    )
    http = GuardedHttp.open(Destinations())
    with pytest.raises(HttpFailed, match=r"^desk.example:443 is a public address, which is called by https only$"):
        await http.request("GET", "http://desk.example:443/")
    assert called == []
    with pytest.raises(HttpFailed, match=r"^desk.example cannot be asked: .*no network here"):
        await http.request("GET", "https://desk.example/")
    assert called == [("1.1.1.1", 443)]
    await http.aclose()


async def test_another_error_of_the_system_is_said(http: GuardedHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no words of ours is told in its own, and what has none in its kind."""
    for error, says in ((OSError(113, "no route"), "no route"), (OSError(), "OSError")):

        async def create(*_: object, error: OSError = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", create)
        with pytest.raises(HttpFailed, match=rf"^127.0.0.1:1 cannot be asked: .*{says}"):
            await http.request("GET", "http://127.0.0.1:1/")


async def test_a_certificate_has_to_be_trusted(canary: Canary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate counts when the machine's authorities or the public ones know it, and else the refusal says so."""
    file = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    async with await asyncio.start_server(canary.serve, "127.0.0.1", 0, ssl=context) as server:
        address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for trusted in ("", "SSL_CERT_FILE", "certifi"):
            with monkeypatch.context() as patch:
                if trusted == "certifi":
                    patch.setattr(certifi, "where", lambda: str(file))
                elif trusted:
                    patch.setenv(trusted, str(file))
                http = GuardedHttp.open(LOOPBACK)
            if trusted:
                assert (await http.request("GET", address)).content == b"hello world"
            else:
                with pytest.raises(
                    HttpFailed, match=r"shows a certificate that is not trusted here: self.signed"
                ) as failed:
                    await http.request("GET", address)
                assert not failed.value.sent
            await http.aclose()


def certificate(folder: Path) -> Path:
    """Return a file with a certificate of this machine that it signed itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


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
