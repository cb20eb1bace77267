"""The one HTTP client that plugins, tools and backends are handed: guarded, bounded, without redirects or environment."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import aiohttp
import certifi
from yarl import URL

from aiops_core.errors import AnswerTooLarge, HttpFailed
from aiops_host.trust.destinations import AddressDenied, Destinations, VettingResolver, literal

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 30.0
MAX_BODY_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 15.0
HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "aiops"}
UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

Denied = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GuardedResponse:
    """A whole answer; ``content`` is decoded."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardedHttp:
    """Core's ``HttpClient`` over aiohttp, a sixth of whose time per request the client before it took."""

    destinations: Destinations
    total_seconds: float
    max_body_bytes: int
    denied: Denied
    _plain: aiohttp.ClientSession
    _secure: aiohttp.ClientSession

    @classmethod
    def open(
        cls,
        destinations: Destinations,
        *,
        total_seconds: float = TOTAL_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
        connections: int = 100,
        denied: Denied = lambda _reason: None,
    ) -> GuardedHttp:
        """Make a client, inside a running event loop.

        Args:
            destinations: What may be called.
            total_seconds: Longest exchange.
            max_body_bytes: Largest decoded answer.
            connections: Most connections at a time.
            denied: Told each time an ``address`` or an answer's ``size`` is refused.
        """
        trust = _trust()
        return cls(
            destinations=destinations,
            total_seconds=total_seconds,
            max_body_bytes=max_body_bytes,
            denied=denied,
            _plain=_session(VettingResolver(destinations, plain=True), connections, trust),
            _secure=_session(VettingResolver(destinations, plain=False), connections, trust),
        )

    def patient(self, *, total_seconds: float, max_body_bytes: int) -> GuardedHttp:
        """Return this client, over the same connections, with other bounds."""
        return replace(self, total_seconds=total_seconds, max_body_bytes=max_body_bytes)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> GuardedResponse:
        """Send one request and read the answer whole; see core's ``HttpClient``."""
        limit = min(timeout or self.total_seconds, self.total_seconds)
        target = self._checked(url)
        session = self._plain if target.scheme == "http" else self._secure
        try:
            async with (
                asyncio.timeout(limit),
                session.request(
                    method,
                    target.update_query(params) if params else target,
                    headers=headers,
                    data=content,
                    allow_redirects=False,
                ) as response,
            ):
                answer = GuardedResponse(response.status, response.headers, await self._read(response, target))
        except UNSENT as error:
            raise HttpFailed(f"{_shown(target)} {self._why_unsent(error)}", sent=False) from error
        except TimeoutError:
            raise HttpFailed(f"{_shown(target)} did not answer within {limit:g} s", sent=True) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise HttpFailed(f"{_shown(target)} broke off: {_reason(error)}", sent=True) from None
        log.debug("%s at %s: %d, %d bytes", method, _shown(target), answer.status_code, len(answer.content))
        return answer

    async def aclose(self) -> None:
        """Close all connections."""
        await self._plain.close()
        await self._secure.close()

    def _checked(self, url: str) -> URL:
        """Return the address, unless its own spelling already shows that it is not to be called."""
        try:
            target = URL(url)
            host, port = target.host, target.port
        except ValueError as error:
            raise self._refused("the address", f"cannot be asked: {error}") from None
        if target.scheme not in ("http", "https") or not host or not port or target.user or target.password:
            raise self._refused(
                _shown(target), "cannot be asked: an address is of the form https://host/path, without a user"
            )
        address = literal(host)
        if address is not None:
            try:
                self.destinations.check(address, port, plain=target.scheme == "http")
            except AddressDenied as error:
                raise self._refused(_shown(target), str(error)) from None
        return target

    def _refused(self, host: str, why: str) -> HttpFailed:
        self.denied("address")
        return HttpFailed(f"{host} {why}", sent=False)

    def _why_unsent(self, error: Exception) -> str:
        """Return what kept a request from being sent, to follow the host's name."""
        below = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(below, AddressDenied | aiohttp.InvalidURL):
            self.denied("address")
            return str(below) if isinstance(below, AddressDenied) else f"cannot be asked: {below}"
        if isinstance(below, ssl.SSLCertVerificationError):
            return f"shows a certificate that is not trusted here: {below.verify_message}"
        return _CAUSES.get(type(below)) or f"cannot be asked: {_reason(below)}"

    async def _read(self, response: aiohttp.ClientResponse, target: URL) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self.max_body_bytes:
                self.denied("size")
                raise AnswerTooLarge(f"{target.host} answered more than {self.max_body_bytes} bytes")
        return bytes(body)


_CAUSES: dict[type[BaseException], str] = {
    socket.gaierror: "is a name that DNS does not know here",
    ConnectionRefusedError: "refuses connections",
    aiohttp.ConnectionTimeoutError: f"takes no connection within {CONNECT_SECONDS:g} s",
}


def _session(resolver: VettingResolver, connections: int, trust: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=resolver, limit=connections, ssl=trust, keepalive_timeout=KEEP_ALIVE_SECONDS
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        headers=HEADERS,
        skip_auto_headers=("Content-Type",),
        trust_env=False,
        read_bufsize=CHUNK_BYTES,
        max_line_size=MAX_HEAD_BYTES,
        max_field_size=MAX_HEAD_BYTES,
    )
    session._retry_connection = False  # it would send PUT and DELETE twice; there is no public switch
    return session


def _trust() -> ssl.SSLContext:
    """Trust the machine's own authorities, which an operator may add to, and the public ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _shown(target: URL) -> str:
    host = target.host or "the address"
    return host if target.explicit_port is None else f"{host}:{target.explicit_port}"


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
