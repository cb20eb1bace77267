"""What a command has a worker try, because credentials open in no other process."""

from __future__ import annotations

import asyncio
from uuid import UUID

from aiops_core.errors import AiopsError
from aiops_host.data import probes, tenants, workers
from aiops_host.data.probes import ProbeUnanswered, ProbeView
from aiops_host.data.session import Database
from aiops_host.data.wakeup import NoWaker
from aiops_host.settings import read_settings
from aiops_host.trust.doors import TestRefused
from aiops_host.web.waking import Wakes
from aiops_host.work.queue import ArqWaker

ANSWER_SECONDS = 90.0
"""A worker gives a test up after a minute; if it dies, another takes the test over 80 seconds after it began."""
LOOK_SECONDS = 2.0


class NoWorker(AiopsError):
    """No worker is running, and credentials open in a worker only: start `aiops worker`, or all parts by `aiops up`."""


async def check_for_workers(database: Database, tenant_id: UUID) -> None:
    """Find out whether a test would be made at all, before anything is stored for it.

    Raises:
        NoWorker: No worker gave a sign of life of late.
        TestRefused: No worker works for the tenant.
    """
    if not any(worker.alive for worker in await workers.list_(database)):
        raise NoWorker
    if (await tenants.get(database, tenant_id)).state != "active":
        raise TestRefused


async def answer(
    database: Database, tenant_id: UUID, probe_id: UUID, *, kept: bool = False, within: float | None = None
) -> ProbeView:
    """Tell workers of a probe and wait for what it shows.

    Args:
        database: Where the probe is.
        tenant_id: Whose it is.
        probe_id: The probe.
        kept: Leave it to a worker that comes later when nobody answers; it is taken back otherwise, after Ctrl-C too.
        within: The most seconds to wait; ``ANSWER_SECONDS`` unless said.

    Raises:
        ProbeUnanswered: No worker answered in time.
        NoWorker, TestRefused: None will.
    """
    url = read_settings().redis_url
    wakes = Wakes(ArqWaker(url) if url else NoWaker())
    wakes.announce(probes.WAKE, probe_id)
    try:
        await wakes.close()
        async with asyncio.timeout(ANSWER_SECONDS if within is None else within):
            return await _answered(database, tenant_id, probe_id)
    except TimeoutError:
        raise ProbeUnanswered from None
    finally:
        if not kept:
            await probes.withdraw(database, tenant_id, probe_id)


async def _answered(database: Database, tenant_id: UUID, probe_id: UUID) -> ProbeView:
    while True:
        try:
            return await probes.answered(database, tenant_id, probe_id, within=LOOK_SECONDS)
        except ProbeUnanswered:
            await check_for_workers(database, tenant_id)
