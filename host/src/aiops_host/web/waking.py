"""Wake-ups that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

from opentelemetry.trace import Span

from aiops_core.plugins import explain
from aiops_host.data.wakeup import DueIds, Waker
from aiops_host.watch.tracing import begun, ended

log = logging.getLogger(__name__)

WAKE_SECONDS = 1.0
LINGER_SECONDS = 0.02
"""The first wake-up goes at once; those of a burst gather, for less time than a worker takes to look."""


class Wakes:
    """Announces deliveries beside the requests that brought them; a failure is counted and costs only time."""

    def __init__(self, waker: Waker) -> None:
        """Take what carries the wake-ups."""
        self._waker = waker
        self._waiting: list[tuple[DueIds, Span]] = []
        self._sending: asyncio.Task[None] | None = None
        self.failed = 0

    def announce(self, tenant_id: UUID, delivery_id: UUID) -> None:
        """Announce one delivery, together with those that gather while earlier ones travel."""
        self._waiting.append(((tenant_id, delivery_id), begun("enqueue", kind="producer")))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def travel(self) -> bool:
        """Return whether wake-ups travel at present."""
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                return await self._waker.ping()
        except Exception:  # isolation: whatever the transport raises, it is only a wake-up
            return False

    async def close(self) -> None:
        """Wait for what was started, each bounded by its own time, and release the connections."""
        if self._sending is not None:
            await self._sending
        await self._waker.aclose()

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            failure = await self._woken([due for due, _ in batch])
            for _, span in batch:
                ended(span, failure)
            await asyncio.sleep(LINGER_SECONDS)
        self._sending = None

    async def _woken(self, due: Sequence[DueIds]) -> Exception | None:
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                await self._waker.wake(due)
        except Exception as error:  # isolation: they are stored; whatever the transport raises only delays them
            self.failed += len(due)
            log.debug("%d wake-ups did not travel: %s", len(due), explain(error))
            return error
        return None
