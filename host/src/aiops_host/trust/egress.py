"""The one HTTP client that plugins, tools and backends are handed: bounded, without redirects, without environment."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from aiops_core.errors import HttpFailed

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 30.0
MAX_BODY_BYTES = 8 * 1024 * 1024
REFUSED = (httpx.UnsupportedProtocol, httpx.InvalidURL)
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)


@dataclass(frozen=True, slots=True)
class GuardedResponse:
    """A whole answer; ``content`` is decoded."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class GuardedHttp:
    """Core's ``HttpClient`` over httpx."""

    def __init__(
        self, client: httpx.AsyncClient, *, total_seconds: float, max_body_bytes: int, denied: Callable[[str], None]
    ) -> None:
        """Take a client made by :meth:`open`."""
        self._client = client
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
        client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(total_seconds, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        )
        return cls(client, total_seconds=total_seconds, max_body_bytes=max_body_bytes, denied=denied)

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
            async with asyncio.timeout(limit):
                request = self._client.build_request(method, url, headers=headers, params=params, content=content)
                response = await self._client.send(request, stream=True)
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
        await self._client.aclose()

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
