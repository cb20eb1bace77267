"""Writes of one tenant that arrive while others of it are being committed are committed together next.

One transaction, and one flush to disk, then serve many: on a slow disk the flush is what most of the time goes to.
Nobody waits for company: what arrives alone is committed at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar
from uuid import UUID

MOST_TOGETHER = 64
MOST_BYTES = 4 * 1024 * 1024

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Together(Generic[ItemT, ResultT]):
    """Commits items, those of one tenant in turns, those of several side by side."""

    def __init__(
        self,
        commit: Callable[[UUID, Sequence[ItemT]], Awaitable[Sequence[ResultT]]],
        *,
        passed_on: tuple[type[Exception], ...],
        size: Callable[[ItemT], int] = lambda _: 0,
    ) -> None:
        """Take what commits and bounds a batch.

        Args:
            commit: Commits a tenant's items in one transaction and returns the result of each. After a failure it is
                called again for each item alone, so that one item never costs another.
            passed_on: Failures that have nothing to do with the items: all waiting for the batch get theirs.
            size: An item's bytes.
        """
        self._commit = commit
        self._passed_on = passed_on
        self._size = size
        self._waiting: dict[UUID, deque[tuple[ItemT, asyncio.Future[ResultT]]]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def add(self, tenant_id: UUID, item: ItemT) -> ResultT:
        """Return the item's result once it is committed; raises what committing it raised."""
        answer: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(tenant_id)
        if waiting is not None:
            waiting.append((item, answer))
        else:
            self._waiting[tenant_id] = deque([(item, answer)])
            # In a context of its own: a session or the log's ids of whoever came first are not those of the others.
            task = asyncio.create_task(self._write(tenant_id), context=Context())
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        return await answer

    async def _write(self, tenant_id: UUID) -> None:
        waiting = self._waiting[tenant_id]
        try:
            while batch := self._next_batch(waiting):
                await self._write_batch(tenant_id, batch)
        finally:
            del self._waiting[tenant_id]

    async def _write_batch(self, tenant_id: UUID, batch: Sequence[tuple[ItemT, asyncio.Future[ResultT]]]) -> None:
        try:
            results = await self._commit(tenant_id, [item for item, _ in batch])
        except self._passed_on as error:
            for _, answer in batch:
                _fail(answer, type(error)(*error.args))
        except Exception as error:  # isolation: what one item is refused for must not cost those beside it
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for one in batch:
                await self._write_batch(tenant_id, [one])
        else:
            for (_, answer), result in zip(batch, results, strict=True):
                if not answer.done():
                    answer.set_result(result)

    def _next_batch(
        self, waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]]
    ) -> list[tuple[ItemT, asyncio.Future[ResultT]]]:
        batch: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        size = 0
        while waiting and len(batch) < MOST_TOGETHER and size < MOST_BYTES:
            batch.append(waiting.popleft())
            size += self._size(batch[-1][0])
        return batch


def _fail(answer: asyncio.Future[ResultT], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
