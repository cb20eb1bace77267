"""The bounds on what a model's server may send back, below whichever client LiteLLM chooses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ssl import SSLContext

import httpx

MAX_ANSWER_BYTES = 4 * 1024 * 1024
CONNECT_SECONDS = 5.0


class AnswerTooLong(httpx.TransportError):
    """The server sent more than any answer to a bounded question can be."""


class BoundedTransport(httpx.AsyncBaseTransport):
    """Sends over httpx; an answer has a size limit, no compression to hide behind, and leads nowhere else."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        """Wrap ``inner``."""
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise AnswerTooLong("The answer is compressed, which was not asked for.")
        # Without an address there is nothing to follow: the key stays with the host it was given for.
        response.headers.pop("location", None)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Bounded(response.stream, self._max_bytes)
        return response

    async def aclose(self) -> None:
        """Close what was wrapped."""
        await self._inner.aclose()


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, max_bytes: int) -> None:
        self._inner = inner
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise AnswerTooLong("The answer is longer than allowed.")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def make_transport(
    ssl_context: SSLContext | None = None, ssl_verify: bool | None = None, shared_session: object = None
) -> httpx.AsyncBaseTransport:
    """Make the transport LiteLLM asks for; the parameters are its own."""
    verify: SSLContext | bool = ssl_context if ssl_context is not None else ssl_verify is not False
    return BoundedTransport(httpx.AsyncHTTPTransport(verify=verify, trust_env=False))
