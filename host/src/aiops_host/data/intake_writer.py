"""Deliveries that arrive while others are being committed are committed together next.

One transaction and one flush to disk then serve many webhooks: 32 at a time cost PostgreSQL and us about a quarter of
what they cost one by one. Nobody waits for company: a webhook that arrives alone is committed at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from aiops_host.data import intake
from aiops_host.data.intake import Accepted, NewDelivery
from aiops_host.data.session import Database, DatabaseBusy, DatabaseDown

MOST_TOGETHER = 64
MOST_BYTES = 4 * 1024 * 1024

_Waiting = tuple[NewDelivery, "asyncio.Future[Accepted]"]


class IntakeWriter:
    """Commits deliveries, those of one tenant in turns, those of several side by side."""

    def __init__(self, database: Database) -> None:
        """Take the intake's pool."""
        self._database = database
        self._waiting: dict[UUID, deque[_Waiting]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def accept(self, new: NewDelivery) -> Accepted:
        """Return once the delivery is committed.

        Raises:
            EndpointGone: The connection no longer exists.
            DatabaseBusy: No connection became free in time.
            DatabaseDown: Whether it was committed is not known; the sender must send again.
        """
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(new.tenant_id)
        if waiting is not None:
            waiting.append((new, answer))
        else:
            self._waiting[new.tenant_id] = deque([(new, answer)])
            task = asyncio.create_task(self._write(new.tenant_id))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        return await answer

    async def _write(self, tenant_id: UUID) -> None:
        waiting = self._waiting[tenant_id]
        try:
            while batch := _next_batch(waiting):
                await self._commit(tenant_id, batch)
        finally:
            del self._waiting[tenant_id]

    async def _commit(self, tenant_id: UUID, batch: Sequence[_Waiting]) -> None:
        try:
            accepted = await intake.accept(self._database, tenant_id, [new for new, _ in batch])
        except (DatabaseBusy, DatabaseDown) as error:
            for _, answer in batch:
                _fail(answer, type(error)(*error.args))
        except Exception as error:  # isolation: what one delivery is refused for must not cost those beside it
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for one in batch:
                await self._commit(tenant_id, [one])
        else:
            for (_, answer), result in zip(batch, accepted, strict=True):
                if not answer.done():
                    answer.set_result(result)


def _next_batch(waiting: deque[_Waiting]) -> list[_Waiting]:
    batch: list[_Waiting] = []
    size = 0
    while waiting and len(batch) < MOST_TOGETHER and size < MOST_BYTES:
        batch.append(waiting.popleft())
        size += len(batch[-1][0].body)
    return batch


def _fail(answer: asyncio.Future[Accepted], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
