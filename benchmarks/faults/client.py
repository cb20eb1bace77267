"""The sender: signed webhooks, resent as a ticketing tool resends them, and a ledger of every acknowledgement."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
from benchmarks.faults.world import Site, World, open_ticket

RESENDS = 60
WORDS = ("morning", "evening", "laptop", "office", "tunnel", "client", "profile", "login")


@dataclass(frozen=True, slots=True)
class Sent:
    """One webhook and what was acknowledged for it."""

    site: Site
    ticket: str
    delivery_id: str
    acknowledged_at: float
    tries: int


@dataclass(slots=True)
class Ledger:
    """Everything the sender was told. ``refused`` counts answers that were neither 2xx nor 503."""

    sent: list[Sent] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    conflicting: int = 0


class Client:
    """Sends webhooks for new tickets of all sites."""

    def __init__(self, world: World, http: httpx.AsyncClient, seed: int) -> None:
        """Take the world, an HTTP client and the seed of what the tickets say."""
        self._world = world
        self._http = http
        self._random = random.Random(seed)
        self._number = 0
        self.ledger = Ledger()

    async def send_all(
        self, count: int, *, at_once: int = 20, per_second: float | None = None, copies: int = 1
    ) -> None:
        """Open ``count`` tickets and send each one's webhook ``copies`` times at the same moment."""
        gate = asyncio.Semaphore(at_once)
        started = time.monotonic()

        async def one(number: int) -> None:
            if per_second:
                await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
            async with gate:
                await self._send(self._world.sites[number % len(self._world.sites)], copies)

        await asyncio.gather(*(one(number) for number in range(count)))

    async def _send(self, site: Site, copies: int) -> None:
        self._number += 1
        key = f"OPS-{10_000 + self._number}" if site.vendor == "jira" else str(10_000 + self._number)
        words = " ".join(self._random.sample(WORDS, 4))
        ticket = await open_ticket(
            self._http, site, {"ticket_id": key, "title": f"VPN drops every {words}", "description": f"VPN {words}"}
        )
        headers, body = site.simulator.webhook(ticket, "opened", proof=site.proof)
        answers = await asyncio.gather(*(self._until_acknowledged(site, headers, body) for _ in range(copies)))
        told = {delivery for delivery, _ in answers if delivery}
        self.ledger.conflicting += len(told) > 1
        for delivery in told:
            self.ledger.sent.append(Sent(site, key, delivery, time.time(), max(t for _, t in answers)))

    async def _until_acknowledged(self, site: Site, headers: dict[str, str], body: bytes) -> tuple[str | None, int]:
        for tries in range(1, RESENDS + 1):
            try:
                answer = await self._http.post(self._world.base_url + site.path, headers=headers, content=body)
            except httpx.TransportError:
                await asyncio.sleep(0.25)
                continue
            if answer.is_success:
                return str(answer.json()["delivery_id"]), tries
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                self.ledger.refused[answer.status_code] = self.ledger.refused.get(answer.status_code, 0) + 1
                return None, tries
            await asyncio.sleep(0.25)
        return None, RESENDS


def per_site(sent: Iterable[Sent]) -> dict[str, list[Sent]]:
    """Return what was sent by tenant."""
    found: dict[str, list[Sent]] = {}
    for one in sent:
        found.setdefault(one.site.slug, []).append(one)
    return found
