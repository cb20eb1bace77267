"""The one HTTP client that plugins, tools and backends are handed: bounded, without redirects, without environment."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from aiops_core.errors import HttpFailed

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 30.0
MAX_BODY_BYTES = 8 * 1024 * 1024
CONNECTIONS_PER_CLIENT = 16
REFUSED = (httpx.UnsupportedProtocol, httpx.InvalidURL)
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)


@dataclass(frozen=True, slots=True)
class GuardedResponse:
    """A whole answer; ``content`` is decoded."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class _Clients:
    """As many clients as the requests under way need.

    For each request httpcore compares all of a client's connections with all others: with 800 in one, that took longer
    than everything else a run does.
    """

    def __init__(self, make: Callable[[], httpx.AsyncClient], *, most: int) -> None:
        self._make = make
        self._most = most
        self._made: list[httpx.AsyncClient] = []
        self._lent: list[int] = []

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[httpx.AsyncClient]:
        """Lend the first client with a connection to spare, so that connections are used again."""
        place = self._free()
        self._lent[place] += 1
        try:
            yield self._made[place]
        finally:
            self._lent[place] -= 1

    async def aclose(self) -> None:
        for client in self._made:
            await client.aclose()

    def _free(self) -> int:
        place = next((n for n, lent in enumerate(self._lent) if lent < CONNECTIONS_PER_CLIENT), None)
        if place is not None:
            return place
        if len(self._made) < self._most:
            self._made.append(self._make())
            self._lent.append(0)
            return len(self._made) - 1
        return min(range(len(self._lent)), key=self._lent.__getitem__)


class GuardedHttp:
    """Core's ``HttpClient`` over httpx."""

    def __init__(
        self, clients: _Clients, *, total_seconds: float, max_body_bytes: int, denied: Callable[[str], None]
    ) -> None:
        """Take clients made by :meth:`open`."""
        self._clients = clients
        self._denied = denied
        self._total_seconds = total_seconds
        self._max_body_bytes = max_body_bytes

    @classmethod
    def open(
        cls,
        *,
        total_seconds: float = TOTAL_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
        connections: int = 100,
        denied: Callable[[str], None] = lambda _reason: None,
    ) -> GuardedHttp:
        """Make a client: no environment proxies, no redirects, no cookies kept, bounded in time and decoded size.

        ``denied`` is told each time an ``address`` or an answer's ``size`` is refused.
        """
        context = httpx.create_ssl_context(trust_env=False)

        def client() -> httpx.AsyncClient:
            return httpx.AsyncClient(
                verify=context,
                trust_env=False,
                follow_redirects=False,
                timeout=httpx.Timeout(total_seconds, connect=CONNECT_SECONDS),
                limits=httpx.Limits(
                    max_connections=CONNECTIONS_PER_CLIENT, max_keepalive_connections=CONNECTIONS_PER_CLIENT
                ),
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            )

        clients = _Clients(client, most=-(-connections // CONNECTIONS_PER_CLIENT))
        return cls(clients, total_seconds=total_seconds, max_body_bytes=max_body_bytes, denied=denied)

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
        limit = min(timeout or self._total_seconds, self._total_seconds)
        try:
            async with asyncio.timeout(limit), self._clients.lent() as client:
                request = client.build_request(method, url, headers=headers, params=params, content=content)
                response = await client.send(request, stream=True)
                try:
                    answer = await self._read(response)
                finally:
                    await response.aclose()
        except UNSENT as error:
            if isinstance(error, REFUSED):
                self._denied("address")
            raise HttpFailed(f"{_host(url)} {_why_unsent(error)}", sent=False) from None
        except TimeoutError:
            raise HttpFailed(f"{_host(url)} did not answer within {limit:g} s", sent=True) from None
        except httpx.HTTPError as error:
            raise HttpFailed(f"{_host(url)} broke off: {_reason(error)}", sent=True) from None
        log.debug("%s at %s: %d, %d bytes", method, _host(url), answer.status_code, len(answer.content))
        return answer

    async def aclose(self) -> None:
        """Close all connections."""
        await self._clients.aclose()

    async def _read(self, response: httpx.Response) -> GuardedResponse:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_body_bytes:
                self._denied("size")
                raise HttpFailed(f"{response.url.host} answered more than {self._max_body_bytes} bytes", sent=True)
        return GuardedResponse(response.status_code, response.headers, bytes(body))


def _host(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return "the address"
    return f"{parts.host}:{parts.port}" if parts.port else parts.host


def _why_unsent(error: BaseException) -> str:
    """Return what kept a request from being sent, to follow the host's name."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, socket.gaierror):
            return "is a name that DNS does not know here"
        if isinstance(below, ConnectionRefusedError):
            return "refuses connections"
        below = below.__cause__ or below.__context__
    if isinstance(error, httpx.ConnectTimeout):
        return f"takes no connection within {CONNECT_SECONDS:g} s"
    return f"cannot be asked: {_reason(error)}"


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
