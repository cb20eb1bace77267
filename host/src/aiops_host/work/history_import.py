"""A part of a connection's past tickets, read into the history for a command that asks for part after part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from aiops_core.errors import TicketingUnavailable
from aiops_core.plugins import explain
from aiops_core.tickets import Ticket, TicketQuery
from aiops_host.data import connections as stored
from aiops_host.data import history_imports
from aiops_host.data.history_imports import Progress, Wanted
from aiops_host.data.retrieval import history
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.session import Database
from aiops_host.work.probe_kinds import Outcome
from aiops_host.work.workshop import Workshop

BATCH = 25
MOST_TICKETS = 300
FULL_SECONDS = 20.0
END_SECONDS = 45.0
"""What is left of a probe's minute is enough to store a batch."""


async def tried(workshop: Workshop, tenant_id: UUID, target: str) -> Outcome:
    """Read on from where the connection's import stopped; the target is a ``Wanted``, the answer a ``Progress``."""
    wanted = msgspec.json.decode(target, type=Wanted)
    async with workshop.database.tenant(tenant_id) as con:
        version = (await stored.get(con, wanted.connection_id)).config_version
    _, tool = await workshop.ticketing_tool(tenant_id, wanted.connection_id, version)
    async with workshop.database.tenant(tenant_id) as con:
        start = await history_imports.begin(con, tenant_id, wanted.connection_id, wanted.since)
    part = Part(workshop.database, tenant_id, wanted.connection_id, start)
    read = await part.read(tool.search_tickets(TicketQuery(updated_since=start)))
    return Outcome(True, msgspec.json.encode(read).decode())


@dataclass
class Part:
    """What is read at one time: until it is full and the next ticket is of a later moment, from which the next part reads.

    A part that ended among the tickets of one moment would read them again, and for ever if they alone fill it.
    """

    database: Database
    tenant_id: UUID
    connection_id: UUID
    reached: datetime
    taken: int = 0
    latest: datetime = field(init=False)
    batch: list[Ticket] = field(default_factory=list)
    count: UpsertCount = field(default_factory=UpsertCount)

    def __post_init__(self) -> None:
        """Begin at the cursor."""
        self.latest = self.reached

    async def read(self, found: AsyncIterator[Ticket]) -> Progress:
        """Store what is found, oldest update first; what was read before a failure or the time's end is kept."""
        done, trouble = False, None
        try:
            async with asyncio.timeout(END_SECONDS) as limit:
                done = await self._take(found)
        except TicketingUnavailable as error:
            trouble = error
        except TimeoutError:
            if not limit.expired():
                raise
        await self._store(done=done)
        return Progress(
            count=self.count,
            reached=self.reached,
            done=done,
            answered=self.taken > 0,
            trouble=explain(trouble) if trouble else None,
            wait=trouble.retry_after if trouble else None,
        )

    async def _take(self, found: AsyncIterator[Ticket]) -> bool:
        """Return whether there are no more tickets."""
        clock = asyncio.get_running_loop().time
        full_at = clock() + FULL_SECONDS
        async for ticket in found:
            moment = ticket.updated_at or self.latest
            if (self.taken >= MOST_TICKETS or clock() >= full_at) and moment > self.latest:
                self.latest = moment
                return False
            self.batch.append(ticket)
            self.taken += 1
            self.latest = max(self.latest, moment)
            if len(self.batch) == BATCH:
                await self._store()
        return True

    async def _store(self, *, done: bool = False) -> None:
        """Store the batch and how far it came, in one session."""
        ids = (self.tenant_id, self.connection_id)
        async with self.database.tenant(self.tenant_id) as con:
            counted = UpsertCount()
            if self.batch:
                counted = await history.upsert(con, self.batch, connection_id=self.connection_id, source="search")
            reached = await history_imports.advance(con, *ids, self.latest, len(self.batch))
            if done:
                await history_imports.finish(con, *ids)
        self.count += counted
        self.batch = []
        self.reached = reached or self.reached
