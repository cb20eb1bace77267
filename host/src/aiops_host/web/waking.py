"""Wake-ups that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

from aiops_core.plugins import explain
from aiops_host.data.wakeup import Waker
from aiops_host.watch.logs import bound
from aiops_host.watch.tracing import span, trace_id, traceparent

log = logging.getLogger(__name__)

WAKE_SECONDS = 0.25


class Wakes:
    """Announces deliveries beside the request that brought them; a failure is counted and costs only time."""

    def __init__(self, waker: Waker) -> None:
        """Take what carries the wake-ups."""
        self._waker = waker
        self._running: set[asyncio.Task[None]] = set()
        self.failed = 0

    def announce(self, tenant_id: UUID, delivery_id: UUID) -> None:
        """Start announcing one delivery."""
        task = asyncio.create_task(self._wake(tenant_id, delivery_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def travel(self) -> bool:
        """Return whether wake-ups travel at present."""
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                return await self._waker.ping()
        except Exception:  # isolation: whatever the transport raises, it is only a wake-up
            return False

    async def close(self) -> None:
        """Wait for what was started, each bounded by its own time, and release the connections."""
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._waker.aclose()

    async def _wake(self, tenant_id: UUID, delivery_id: UUID) -> None:
        try:
            with (
                bound(tenant_id=tenant_id, delivery_id=delivery_id, trace_id=trace_id(traceparent())),
                span("enqueue", kind="producer"),
            ):
                async with asyncio.timeout(WAKE_SECONDS):
                    await self._waker.wake(tenant_id, delivery_id)
        except Exception as error:  # isolation: the delivery is stored; whatever the transport raises only delays it
            self.failed += 1
            log.debug("a wake-up did not travel: %s", explain(error))
