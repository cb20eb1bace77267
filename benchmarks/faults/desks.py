"""The tenants' ticketing tools: one simulator each, which remembers every call and can be listened to."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from aiops_demo.simulators import simulator_class
from aiops_demo.simulators.base import Answer, Call, Proof, VendorSimulator

WRITE = re.compile(r"/(comment|notes)$")
TICKET = re.compile(r"/(?:issue|requests)/([^/]+)")


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as the simulator saw it; ``at`` is ``time.monotonic`` of its arrival, ``status`` 0 when cut off."""

    at: float
    answered: float
    call: Call
    status: int

    @property
    def ticket(self) -> str | None:
        """The ticket the call was about."""
        found = TICKET.search(self.call.path)
        return found[1] if found else None

    @property
    def is_write(self) -> bool:
        """Whether the call posts a note."""
        return self.call.method == "POST" and WRITE.search(self.call.path) is not None


@dataclass(slots=True)
class Watch:
    """What was seen, and whom to tell when a write was applied but not yet answered."""

    seen: list[Seen] = field(default_factory=list)
    applied: Callable[[], None] | None = None


def watched(vendor: str, token: str, watch: Watch) -> VendorSimulator:
    """Return a vendor's simulator that tells ``watch`` of every call."""
    base = simulator_class(vendor)

    async def answer(self: VendorSimulator, call: Call) -> Answer:
        began, status = time.monotonic(), 0
        try:
            answered = await base.answer(self, call)
            status = answered.status
        finally:
            seen = Seen(began, time.monotonic(), call, status)
            watch.seen.append(seen)
        if watch.applied is not None and seen.is_write:
            watch.applied()
        return answered

    return cast("VendorSimulator", type(f"Watched{base.__name__}", (base,), {"answer": answer})(token=token))


@dataclass(frozen=True, slots=True)
class Site:
    """One tenant's connection: its simulator, its endpoint, and the word no other tenant's note may hold."""

    number: int
    tenant_id: UUID
    connection_id: UUID
    slug: str
    vendor: str
    simulator: VendorSimulator
    watch: Watch
    path: str
    proof: Proof
    canary: str

    def ticket_id(self, number: int) -> str:
        """Return the id of the tenant's ``number``-th ticket, which no other tenant's ticket has."""
        number += (self.number + 1) * 1_000_000
        return f"OPS-{number}" if self.vendor == "jira" else str(number)

    def open_ticket(self, ticket_id: str, title: str, description: str) -> dict[str, Any]:
        """Put a ticket into the simulator and return it in the vendor's own JSON."""
        neutral = {"ticket_id": ticket_id, "title": title, "description": description}
        self.simulator.add_ticket(self.simulator.to_vendor(neutral))
        return self.simulator.ticket(ticket_id)
