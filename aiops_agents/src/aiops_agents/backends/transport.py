"""Below whichever client LiteLLM chooses: the host's guarded client, with its bounds and its list of destinations."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import httpx

from aiops_core.errors import AnswerTooLarge, HttpFailed
from aiops_core.services import HttpClient

CLIENT: ContextVar[HttpClient] = ContextVar("aiops_http_of_this_call")
"""The guarded client of the call under way: LiteLLM hands none through."""

# What the guarded client sets itself.
_ITS_OWN = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})
# The body is decoded already; without an address there is nothing to follow; cookies would outlive the call.
_DROPPED = frozenset({"content-encoding", "content-length", "transfer-encoding", "location", "set-cookie"})


class AnswerTooLong(httpx.TransportError):
    """The server sent more than any answer to a bounded question can be."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends through the guarded client; an answer is read whole, has a size limit and leads nowhere else."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        try:
            answer = await CLIENT.get().request(
                request.method,
                str(request.url),
                headers={name: value for name, value in request.headers.items() if name not in _ITS_OWN},
                content=await request.aread() or None,
            )
        except AnswerTooLarge as error:
            raise AnswerTooLong(str(error), request=request) from error
        except HttpFailed as error:
            failure = httpx.ReadError if error.sent else httpx.ConnectError
            raise failure(str(error), request=request) from error
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in _DROPPED]
        return httpx.Response(answer.status_code, headers=headers, content=answer.content, request=request)


def make_transport(*_: Any, **__: Any) -> httpx.AsyncBaseTransport:
    """Make the transport LiteLLM asks for; what it says of certificates and sessions is the guarded client's to know."""
    return GuardedTransport()
