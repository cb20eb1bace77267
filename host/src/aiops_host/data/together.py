"""Work of one tenant that shares a transaction with other work of it.

:class:`Together`: writes that arrive while others of the tenant are being committed are committed together next. One
transaction, and one flush to disk, then serve many: on a slow disk the flush is what most of the time goes to.
:class:`SameTurn`: what is read in one turn of the event loop, as by the tools of one run, is read in one transaction.
Nobody waits for company: what arrives alone is done at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

MOST_TOGETHER = 64
MOST_BYTES = 4 * 1024 * 1024
MOST_OF_A_TURN = 4
"""What is read one after the other in one session could be read side by side in several."""

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Commit: TypeAlias = Callable[[UUID, Sequence[ItemT]], Awaitable[Sequence[ResultT]]]
Waiting: TypeAlias = tuple[ItemT, "asyncio.Future[ResultT]"]


class Together(Generic[ItemT, ResultT]):
    """Commits items, those of one tenant in turns, those of several side by side."""

    def __init__(
        self,
        commit: Commit[ItemT, ResultT],
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
        self._waiting: dict[UUID, deque[Waiting[ItemT, ResultT]]] = {}
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
                await _done(self._commit, self._passed_on, tenant_id, batch)
        finally:
            del self._waiting[tenant_id]

    def _next_batch(self, waiting: deque[Waiting[ItemT, ResultT]]) -> list[Waiting[ItemT, ResultT]]:
        batch: list[Waiting[ItemT, ResultT]] = []
        size = 0
        while waiting and len(batch) < MOST_TOGETHER and size < MOST_BYTES:
            batch.append(waiting.popleft())
            size += self._size(batch[-1][0])
        return batch


class SameTurn(Generic[ItemT, ResultT]):
    """Does what is asked for a tenant in one turn of the event loop together, a few at a time; turns go side by side."""

    def __init__(self, do: Commit[ItemT, ResultT], *, passed_on: tuple[type[Exception], ...]) -> None:
        """Take what does a tenant's items in one transaction, and what it may raise as for :class:`Together`."""
        self._do = do
        self._passed_on = passed_on
        self._gathering: dict[UUID, list[Waiting[ItemT, ResultT]]] = {}
        self._doing: set[asyncio.Task[None]] = set()

    async def add(self, tenant_id: UUID, item: ItemT) -> ResultT:
        """Return the item's result; raises what doing it raised. Once nobody waits for a turn, its work is cancelled."""
        answer: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        batch = self._gathering.get(tenant_id)
        if batch is not None and len(batch) < MOST_OF_A_TURN:
            batch.append((item, answer))
        else:
            self._gathering[tenant_id] = batch = [(item, answer)]
            task = asyncio.create_task(self._work(tenant_id, batch), context=Context())
            self._doing.add(task)
            task.add_done_callback(self._doing.discard)
        return await answer

    async def _work(self, tenant_id: UUID, batch: Sequence[Waiting[ItemT, ResultT]]) -> None:
        if self._gathering.get(tenant_id) is batch:
            del self._gathering[tenant_id]
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks

        def unwanted(_: asyncio.Future[ResultT]) -> None:
            if all(answer.cancelled() for _, answer in batch):
                task.cancel()

        for _, answer in batch:
            answer.add_done_callback(unwanted)
        await _done(self._do, self._passed_on, tenant_id, batch)


async def _done(
    commit: Commit[ItemT, ResultT],
    passed_on: tuple[type[Exception], ...],
    tenant_id: UUID,
    batch: Sequence[Waiting[ItemT, ResultT]],
) -> None:
    """Answer everybody in the batch."""
    try:
        results = await commit(tenant_id, [item for item, _ in batch])
    except passed_on as error:
        for _, answer in batch:
            _fail(answer, type(error)(*error.args))
    except Exception as error:  # isolation: what one item is refused for must not cost those beside it
        if len(batch) == 1:
            _fail(batch[0][1], error)
            return
        for one in batch:
            await _done(commit, passed_on, tenant_id, [one])
    else:
        for (_, answer), result in zip(batch, results, strict=True):
            if not answer.done():
                answer.set_result(result)


def _fail(answer: asyncio.Future[ResultT], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
