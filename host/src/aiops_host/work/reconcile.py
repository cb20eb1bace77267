"""Notes whose write was in doubt, looked at again later: should two have arrived, the oldest stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiops_core.errors import TicketingRefused, TicketingUnavailable, TicketNotFound
from aiops_core.plugins import explain
from aiops_core.ticketing import EffectMarker, RemoteRef, TicketingToolPlugin
from aiops_host import failpoints
from aiops_host.data import claims, reconciles
from aiops_host.data.reconciles import Doubtful
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.work.settle import SINCE_SLACK

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciler:
    """Looks at confirmed notes again with the settings of this worker."""

    database: Database
    settings: Settings
    doubled: Callable[[int], None]
    """Told how many notes there were too many on a ticket."""

    async def reconcile(self, doubtful: Doubtful, tool: TicketingToolPlugin) -> int:
        """Look at one ticket and remove doubled notes; return how many there were too many."""
        again: timedelta | None = self._next_look(doubtful)
        kept: RemoteRef | None = None
        reason: str | None = None
        surplus = 0
        try:
            async with asyncio.timeout(self.settings.lease):
                found = await tool.find_effects(doubtful.ticket_id, self._marker(doubtful))
                kept, surplus = (found[0] if found else None), max(len(found) - 1, 0)
                if surplus:
                    self.doubled(surplus)
                reason = await self._remove(doubtful, tool, found[1:])
        except TicketNotFound:
            again = None
        except Exception as error:  # isolation: a look that fails is made again at the next time
            log.warning("ticket %s could not be looked at again: %s", doubtful.ticket_id, explain(error))
            await self._hold(doubtful, error)
        async with self.database.tenant(doubtful.tenant_id) as con:
            await reconciles.finish(con, doubtful, again=again, kept=kept, reason=reason)
        return surplus

    async def _remove(self, doubtful: Doubtful, tool: TicketingToolPlugin, surplus: Sequence[RemoteRef]) -> str | None:
        """Delete notes; return what a person has to do when that is not permitted."""
        for ref in surplus:
            failpoints.reached("reconcile-deleting")
            try:
                await tool.delete_effect(doubtful.ticket_id, ref)
            except TicketingRefused as error:
                log.error("ticket %s holds one note %d times", doubtful.ticket_id, len(surplus) + 1)
                return f"This note is on the ticket {len(surplus) + 1} times; delete all but one: {explain(error)}"
            failpoints.reached("reconcile-deleted")
            log.warning("removed the double %s of a note on ticket %s", ref.id, doubtful.ticket_id)
        return None

    async def _hold(self, doubtful: Doubtful, error: Exception) -> None:
        asked = error.retry_after if isinstance(error, TicketingUnavailable) else None
        if asked is not None:
            async with self.database.tenant(doubtful.tenant_id) as con:
                await claims.hold_connection(con, doubtful.connection_id, doubtful.tenant_id, timedelta(seconds=asked))

    def _next_look(self, doubtful: Doubtful) -> timedelta | None:
        left = self.settings.looks_again[doubtful.reconciles + 1 :]
        return timedelta(seconds=left[0]) if left else None

    def _marker(self, doubtful: Doubtful) -> EffectMarker:
        return EffectMarker(
            reference=doubtful.reference,
            installation=self.settings.installation,
            since=doubtful.first_attempt_at - SINCE_SLACK,
        )
