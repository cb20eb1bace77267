"""Requests over kept connections, several on their way on each, with a true account of every connection that broke.

A host may close a connection that idles, and HTTP cannot keep a request from meeting that: a connection is not used
again that idled for a third of the host's time. Nor does a host owe anything after its own ``connection: close``. Whatever
else breaks is the host's fault where a whole request was sent. A request without an answer is sent again, twice at most:
a webhook that was committed all the same is answered as seen before.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

DEPTH = 4
MOST_TRIES = 3
RENEW_SECONDS = 5.0
ANSWER_SECONDS = 60.0
REFUSED_SECONDS = 30.0
ACCEPTED = 202
SERVER_ERROR = 500
MOST_SHOWN = 20


@dataclass(slots=True)
class Request:
    """One request as its bytes; ``label`` says what it is."""

    label: str
    raw: bytes
    shown: str
    tries: int = 0


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    content: bytes
    last: bool


@dataclass(slots=True)
class Account:
    """What became of all requests.

    ``connections`` counts those that were opened; not used again after a pause, ``renewed``; closed by the host after an
    answer that said so, ``closed``; and broken, by what was on its way: ``refused`` never was open, ``partial`` had sent
    only a part of a request, ``unanswered`` a whole one. The last is a fault. ``faults`` shows the first of these, of
    server errors, and of requests that were never answered. ``told`` are the deliveries that were acknowledged.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    connections: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    server_errors: int = 0
    given_up: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def answered(self, request: Request, answer: Answer) -> None:
        """Count an answer."""
        self.labels[request.label] += 1
        self.statuses[answer.status] += 1
        if answer.status >= SERVER_ERROR:
            self.server_errors += 1
            self.show(f"{answer.status} {request.shown}")
        if answer.status == ACCEPTED:
            self.told.add(json.loads(answer.content)["delivery_id"])

    def show(self, fault: str) -> None:
        """Keep a fault's description."""
        if len(self.faults) < MOST_SHOWN:
            self.faults.append(fault)


Feed = asyncio.Queue[Request | None]
"""What is to be sent; None after the last, for every line."""


class Line:
    """One connection, opened anew whenever it breaks."""

    def __init__(self, host: str, port: int, feed: Feed, account: Account) -> None:
        """Take where to send, what, and where to count."""
        self._where = host, port
        self._feed = feed
        self._account = account
        self._waiting: deque[Request] = deque()
        self._sent = 0
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = self._written = self._idled = 0.0
        self._refused_since: float | None = None

    async def work(self) -> None:
        """Send from the feed until it ends.

        Raises:
            ConnectionRefusedError: Nobody has listened for half a minute.
        """
        try:
            while await self._topped_up():
                try:
                    await self._exchange()
                except ConnectionRefusedError:
                    await self._refused()
                except (OSError, asyncio.IncompleteReadError) as error:
                    self._broke(error)
        finally:
            self._close()

    async def _topped_up(self) -> bool:
        """Take as many requests as may be on their way; False when there are none any more."""
        while len(self._waiting) < DEPTH and not (self._waiting and self._feed.empty()):
            request = await self._feed.get()
            if request is None:
                self._feed.put_nowait(None)
                break
            self._waiting.append(request)
        return bool(self._waiting)

    async def _exchange(self) -> None:
        """Send what was not sent yet, and read one answer."""
        now = time.monotonic()
        if self._open and not self._sent and now - self._used > RENEW_SECONDS:
            self._account.connections["renewed"] += 1
            self._close()
        if self._open is None:
            self._open = await asyncio.open_connection(*self._where)
            self._account.connections["opened"] += 1
            self._used, self._refused_since = now, None
        reader, writer = self._open
        if self._sent < len(self._waiting):
            if not self._sent:
                self._idled = now - self._used
            writer.write(b"".join([request.raw for request in list(self._waiting)[self._sent :]]))
            self._sent, self._written = len(self._waiting), now
            await writer.drain()
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await _answer(reader)
        self._used = time.monotonic()
        self._account.slowest = max(self._account.slowest, self._used - self._written)
        self._sent -= 1
        self._account.answered(self._waiting.popleft(), answer)
        if answer.last:
            self._account.connections["closed"] += 1
            self._close()

    def _broke(self, error: Exception) -> None:
        """Say what the connection broke with, and let what has no answer be sent again."""
        first, whole = self._waiting[0], self._sent_whole(error)
        self._account.connections["unanswered" if whole else "partial"] += 1
        if whole:
            since = time.monotonic() - self._written
            self._account.show(
                f"broken {since:.2f} s after the last of {self._sent} requests, idle {self._idled:.1f} s before, by "
                f"{error!r}: {first.shown}"
            )
        self._close()
        first.tries += 1
        if first.tries >= MOST_TRIES:
            self._account.given_up += 1
            self._account.show(f"never answered: {first.shown}")
            self._waiting.popleft()

    def _sent_whole(self, error: Exception) -> bool:
        """Return whether the host surely had a whole request, or had even begun to answer it."""
        if self._open is None:
            return False
        if isinstance(error, asyncio.IncompleteReadError) and error.partial:
            return True
        left = self._open[1].transport.get_write_buffer_size()
        return left < sum(len(request.raw) for request in list(self._waiting)[1 : self._sent]) or not left

    async def _refused(self) -> None:
        now = time.monotonic()
        self._account.connections["refused"] += 1
        self._refused_since = self._refused_since or now
        if now - self._refused_since > REFUSED_SECONDS:
            raise ConnectionRefusedError(f"nobody listens on {self._where[0]}:{self._where[1]}")
        await asyncio.sleep(0.25)

    def _close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open, self._sent = None, 0


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    length = int(rest.partition(b"\r\n")[0]) if found else 0
    content = await reader.readexactly(length)
    return Answer(int(head.split(b" ", 2)[1]), content, b"\r\nconnection: close" in head)
