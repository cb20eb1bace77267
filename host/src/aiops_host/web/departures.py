"""Tenants on their way out: what was begun is finished in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiops_core.errors import KeyProviderUnavailable
from aiops_core.plugins import explain
from aiops_host.data import erasure
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.session import Database
from aiops_host.trust import tenancy
from aiops_host.trust.vault import Vault

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
WAITS: tuple[type[Exception], ...] = (*TRY_AGAIN, KeyProviderUnavailable)


class Departures:
    """Finishes deletions of tenants in the background: when asked to, and those another process left half-way."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """Take where the rows are, and what knows the keys."""
        self._database = database
        self._vault = vault
        self._asked = asyncio.Event()

    def go_on(self) -> None:
        """Look for deletions to finish now."""
        self._asked.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Finish deletions while the block runs."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _work(self) -> None:
        while True:
            self._asked.clear()
            try:
                for tenant in await erasure.unfinished(self._database):
                    await tenancy.finish_deletion(self._database, self._vault, tenant)
            except WAITS as error:
                log.warning("the deletion of a tenant waits: %s", explain(error))
            except Exception:  # isolation: background loop; the next look goes on where this one broke off
                log.exception("the deletion of a tenant broke off")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_SECONDS)
