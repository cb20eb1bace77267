"""uvicorn's HTTP protocol with what it lacks: a deadline for each request, bounds on heads and on connections."""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from http import HTTPStatus
from typing import ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 32 * 1024
LAST_LOOK_SECONDS = 0.25


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection whose request does not arrive in time, from its first byte to the end of its body.

    uvicorn waits for ever for a request that was begun, and takes heads of any size.

    A loop that was held up, by a busy machine or a paused one, runs timers that fell due before it reads what arrived
    meanwhile. No connection is therefore closed for a timer without one more look at it: a request that is here would be
    thrown away without an answer.
    """

    read_seconds: ClassVar[float]
    max_connections: ClassVar[int]

    _timer: TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the first request's deadline, or turn one connection too many away."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.write(_raw_problem(HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections."))
            transport.close()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the deadline."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count a head's bytes as they arrive: one that never ends is not kept in memory."""
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if self._timer is None and (cycle is None or cycle.response_complete):
            self._arm()  # bytes between two requests end uvicorn's own idle timer
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Start a request's deadline."""
        super().on_message_begin()
        self._in_head = True
        self._arm()

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large; it may have come with its body in one piece."""
        self._in_head, self._head_bytes = False, 0
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse_head()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Drop what follows a refused head."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the deadline: the request is here."""
        self._disarm()
        self._in_head = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                _raw_problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head is too large.")
            )
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless the next look at it brings a request."""
        self.timeout_keep_alive_task = self.loop.call_later(LAST_LOOK_SECONDS, super().timeout_keep_alive_handler)

    def _arm(self) -> None:
        self._disarm()
        self._timer = self.loop.call_later(self.read_seconds, self._look_once_more)

    def _look_once_more(self) -> None:
        if self.pipeline:  # it came behind another, and we do not read on until that one is answered
            self._arm()
        else:
            self._timer = self.loop.call_later(LAST_LOOK_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """Answer a body that stalls, unless an answer has begun; what is not even a head gets none."""
        cycle: RequestResponseCycle | None = self.cycle
        if self._in_head or cycle is None or cycle.response_started:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(_raw_problem(HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive in time."))
            self.transport.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def deadline_protocol(read_seconds: float, max_connections: int) -> type[DeadlineProtocol]:
    """Return the protocol with these bounds; uvicorn makes one object of it per connection."""
    bounds = {"read_seconds": read_seconds, "max_connections": max_connections}
    return type("BoundDeadlineProtocol", (DeadlineProtocol,), bounds)


def _raw_problem(status: HTTPStatus, detail: str) -> bytes:
    """Return a whole answer to a request the application never sees."""
    code = status.phrase.lower().replace(" ", "-")
    fields = {"status": status.value, "code": code, "detail": detail, "type": "about:blank", "title": status.phrase}
    body = msgspec.json.encode(fields)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
