"""The sender: signed webhooks, resent as a ticketing tool resends them, and a ledger of every acknowledgement."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.faults.desks import Site
from benchmarks.faults.world import World

RESENDS = 400
PAUSE_SECONDS = 0.25
IDLE_SECONDS = 5.0
ANSWER_SECONDS = 30.0
ACCEPTED = 202
UNAVAILABLE = 503
WORDS = ("morning", "evening", "laptop", "office", "tunnel", "client", "profile", "login")


@dataclass(frozen=True, slots=True)
class Sent:
    """One webhook and what was acknowledged for it. ``expected`` is the state its delivery should end in."""

    site: Site
    ticket: str
    delivery_id: str
    acknowledged_at: float
    tries: int
    expected: str


@dataclass(slots=True)
class Ledger:
    """Everything the sender was told.

    ``refused`` counts answers that were neither 202 nor 503, ``resets`` connections cut after the request was sent,
    ``given_up`` webhooks that were sent ``RESENDS`` times in vain, ``seconds`` how long each answer took.
    """

    sent: list[Sent] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    resets: int = 0
    unavailable: int = 0
    without_retry_after: int = 0
    conflicting: int = 0
    given_up: int = 0
    requests: int = 0
    seconds: list[float] = field(default_factory=list)


Marked = Callable[[int], tuple[str, str]]
"""A ticket's number to a word for its title and the state its delivery should end in."""


def plain(_number: int) -> tuple[str, str]:
    """Mark no ticket."""
    return "", "done"


class Lines:
    """Kept-alive HTTP connections to the host."""

    def __init__(self, port: int, *, keep: bool = True) -> None:
        """Take the host's port; without ``keep`` every request has a connection of its own."""
        self._port = port
        self._keep = keep
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send one request and return status, headers and body.

        Raises:
            ConnectionRefusedError: Nothing listens.
            OSError, asyncio.IncompleteReadError: The connection was cut.
        """
        reader, writer = self._kept() or await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(_request(path, headers, body, keep=self._keep))
            status, answered, content = await _answer(reader)
        except BaseException:
            writer.close()
            raise
        if self._keep and answered.get("connection") != "close":
            self._idle.append((reader, writer, time.monotonic()))
        else:
            writer.close()
        return status, answered, content

    def close(self) -> None:
        """Close all connections."""
        for _, writer, _ in self._idle:
            writer.close()
        self._idle.clear()

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return a connection used a moment ago; the host closes older ones, perhaps just now."""
        while self._idle:
            reader, writer, used = self._idle.pop()
            if time.monotonic() - used < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return None


class Client:
    """Sends webhooks for new tickets of all sites."""

    def __init__(self, world: World, seed: int, *, keep: bool = True) -> None:
        """Take the world, the seed of what the tickets say and whether connections are kept."""
        self._world = world
        self._random = random.Random(seed)
        self._lines = Lines(world.port, keep=keep)
        self.ledger = Ledger()

    async def send_all(
        self,
        count: int,
        *,
        sites: Sequence[Site] = (),
        at_once: int = 20,
        per_second: float | None = None,
        copies: int = 1,
        marked: Marked = plain,
    ) -> None:
        """Open ``count`` tickets and send each one's webhook ``copies`` times at the same moment."""
        gate, started = asyncio.Semaphore(at_once), time.monotonic()
        chosen = sites or self._world.sites

        async def one(number: int) -> None:
            if per_second:
                await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
            async with gate:
                word, expected = marked(number)
                await self._open_and_send(chosen[number % len(chosen)], copies, word, expected)

        await asyncio.gather(*(one(number) for number in range(count)))

    def new_ticket(self, site: Site, word: str = "") -> tuple[str, dict[str, Any]]:
        """Open a ticket and return its id and the vendor's own JSON of it."""
        self._world.numbers += 1
        ticket_id = site.ticket_id(self._world.numbers)
        words = " ".join(self._random.sample(WORDS, 4))
        title = f"VPN drops every {words} {self._world.numbers} {word}".rstrip()
        return ticket_id, site.open_ticket(ticket_id, title, f"VPN {words}")

    async def send(
        self, site: Site, ticket_id: str, webhook: tuple[dict[str, str], bytes], *, copies: int = 1, expected: str
    ) -> None:
        """Send one webhook until it is acknowledged, and write down for which delivery."""
        self.ledger.requests += copies
        answers = await asyncio.gather(*(self._until_acknowledged(site, *webhook) for _ in range(copies)))
        told = {delivery for delivery, _ in answers if delivery}
        self.ledger.conflicting += len(told) > 1
        self.ledger.given_up += sum(delivery is None and tries == RESENDS for delivery, tries in answers)
        for delivery in told:
            tries = max(t for _, t in answers)
            self.ledger.sent.append(Sent(site, ticket_id, delivery, time.time(), tries, expected))

    def close(self) -> None:
        """Close all connections."""
        self._lines.close()

    async def _open_and_send(self, site: Site, copies: int, word: str, expected: str) -> None:
        ticket_id, ticket = self.new_ticket(site, word)
        webhook = site.simulator.webhook(ticket, "opened", proof=site.proof)
        await self.send(site, ticket_id, webhook, copies=copies, expected=expected)

    async def _until_acknowledged(self, site: Site, headers: dict[str, str], body: bytes) -> tuple[str | None, int]:
        for tries in range(1, RESENDS + 1):
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    status, answered, content = await self._lines.post(site.path, headers, body)
            except ConnectionRefusedError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                self.ledger.resets += 1
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            self.ledger.seconds.append(time.monotonic() - began)
            if status == ACCEPTED:
                return str(json.loads(content)["delivery_id"]), tries
            if status != UNAVAILABLE:
                self.ledger.refused[status] += 1
                return None, tries
            self.ledger.unavailable += 1
            self.ledger.without_retry_after += "retry-after" not in answered
            await asyncio.sleep(PAUSE_SECONDS)
        return None, RESENDS


def per_site(sent: Iterable[Sent]) -> dict[str, list[Sent]]:
    """Return what was sent by tenant."""
    found: dict[str, list[Sent]] = {}
    for one in sent:
        found.setdefault(one.site.slug, []).append(one)
    return found


def _request(path: str, headers: dict[str, str], body: bytes, *, keep: bool) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [] if keep else ["Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split(" ")[1]), headers, body
