"""An effect carried out: look before a repeated write, write once, and say what came of it.

At most one write is started without proof that earlier ones did not arrive; doubt is resolved by reading the
ticket; what cannot be read is parked for a person.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    EffectUnverifiable,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.plugins import explain
from aiops_core.ticketing import EffectMarker, RemoteRef, TicketingToolPlugin
from aiops_host import failpoints
from aiops_host.data import claims, effects
from aiops_host.data.claims import LeaseLost
from aiops_host.data.effects import EffectClaim
from aiops_host.data.session import Connection, Database
from aiops_host.settings import Settings
from aiops_host.watch.tracing import span

log = logging.getLogger(__name__)

SINCE_SLACK = timedelta(minutes=2)
MAX_WRITES = 10

Outcome = Literal["confirmed", "later", "parked", "dead"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settler:
    """Carries out effects with the settings of this worker."""

    database: Database
    settings: Settings
    posted: Callable[[EffectClaim, effects.Confirmed], None]
    """Told of each confirmed note."""

    async def settle(self, claim: EffectClaim, tool: TicketingToolPlugin) -> Outcome:
        """Take a claimed effect as far as it goes now.

        Raises:
            LeaseLost: Another worker holds the effect.
        """
        failpoints.reached("effect-claimed")
        marker = self._marker(claim)
        if claim.state != "sending":
            found = await self._look(claim, tool, marker)
            if isinstance(found, str):
                return found
            if found:
                return await self._confirmed(claim, found)
            if claim.state == "unknown" and claim.checks == 0:
                later = await self._later(
                    claim, "unknown", self.settings.settle_delay, "waiting to look again", looked=True
                )
                failpoints.reached("effect-waiting")
                return later
            if claim.attempt >= MAX_WRITES:
                return await self._give_up(claim, "parked", f"{claim.attempt} writes without a clear answer")
            claim = await effects.begin_send(self.database, claim, timedelta(seconds=self.settings.lease))
        return await self._write(claim, tool, marker)

    async def _look(
        self, claim: EffectClaim, tool: TicketingToolPlugin, marker: EffectMarker
    ) -> Sequence[RemoteRef] | Outcome:
        failpoints.reached("effect-checking")
        try:
            async with asyncio.timeout(self.settings.look_timeout):
                with span("find effects", kind="client"):
                    return await tool.find_effects(claim.ticket_id, marker)
        except EffectUnverifiable as error:
            if claim.state == "planned":
                return ()
            return await self._give_up(claim, "parked", explain(error))
        except TicketNotFound as error:
            return await self._give_up(claim, "dead", explain(error))
        except AuthenticationFailed as error:
            return await self._pause(claim, error, "unknown" if claim.state == "unknown" else "planned")
        except Exception as error:  # isolation: a ticketing tool's failed look leaves the effect as it was
            return await self._retry(claim, error, claim.state)

    async def _write(self, claim: EffectClaim, tool: TicketingToolPlugin, marker: EffectMarker) -> Outcome:
        if time.monotonic() - claim.held_since > self.settings.lease - self.settings.write_timeout:
            raise LeaseLost
        failpoints.reached("effect-before-write")
        try:
            async with asyncio.timeout(self.settings.write_timeout):
                with span("update ticket", kind="client", attributes={"attempt": claim.attempt}):
                    ref = await tool.update_ticket(claim.ticket_id, claim.enhancement, marker)
        except TicketingUnavailable as error:
            return await self._retry(claim, error, "planned")
        except AuthenticationFailed as error:
            return await self._pause(claim, error, "planned")
        except (TicketNotFound, TicketingRefused) as error:
            return await self._give_up(claim, "dead", explain(error))
        except (EffectUnknown, TimeoutError) as error:
            reason = explain(error) if isinstance(error, EffectUnknown) else "no answer in time"
            return await self._later(claim, "unknown", 0, f"The write may have arrived: {reason}")
        except Exception as error:  # isolation: whatever a ticketing tool raises after the send began proves nothing
            log.warning("update_ticket failed unexpectedly: %s", explain(error))
            return await self._later(claim, "unknown", 0, f"The write may have arrived: {explain(error)}")
        failpoints.reached("effect-written")
        return await self._confirmed(claim, [ref])

    async def _confirmed(self, claim: EffectClaim, refs: Sequence[RemoteRef]) -> Outcome:
        note = await effects.confirm(self.database, claim, refs[0], look_again=self._look_again(claim))
        failpoints.reached("effect-confirmed")
        self.posted(claim, note)
        return "confirmed"

    async def _retry(self, claim: EffectClaim, error: Exception, state: effects.EffectState) -> Outcome:
        delays = self.settings.backoff
        if claim.attempt > len(delays):
            return await self._give_up(claim, "dead", f"Gave up after {claim.attempt} tries: {explain(error)}")
        asked = error.retry_after if isinstance(error, TicketingUnavailable) else None
        delay = asked if asked is not None else delays[max(claim.attempt - 1, 0)]
        async with self.database.tenant(claim.tenant_id) as con:
            if asked is not None:
                await claims.hold_connection(con, claim.connection_id, claim.tenant_id, timedelta(seconds=asked))
            await self._put_off(con, claim, state, delay, explain(error))
        return "later"

    async def _pause(self, claim: EffectClaim, error: Exception, state: effects.EffectState) -> Outcome:
        async with self.database.tenant(claim.tenant_id) as con:
            if await claims.pause_connection(con, claim.connection_id, claim.tenant_id, explain(error)):
                log.error("connection %s is paused: %s", claim.connection_id, explain(error))
            await self._put_off(con, claim, state, 0, explain(error))
        return "later"

    async def _later(
        self, claim: EffectClaim, state: effects.EffectState, delay: float, reason: str, *, looked: bool = False
    ) -> Outcome:
        async with self.database.tenant(claim.tenant_id) as con:
            await self._put_off(con, claim, state, delay, reason, looked=looked)
        return "later"

    async def _put_off(
        self,
        con: Connection,
        claim: EffectClaim,
        state: effects.EffectState,
        delay: float,
        reason: str,
        *,
        looked: bool = False,
    ) -> None:
        await effects.postpone(con, claim, state=state, delay=timedelta(seconds=delay), reason=reason, looked=looked)

    async def _give_up(self, claim: EffectClaim, state: Literal["parked", "dead"], reason: str) -> Outcome:
        async with self.database.tenant(claim.tenant_id) as con:
            await effects.give_up(con, claim, state=state, reason=reason)
        return state

    def _look_again(self, claim: EffectClaim) -> timedelta | None:
        """Return when to look for a double: only a note that was taken up more than once can have one."""
        delays = self.settings.looks_again if claim.token > 1 else ()
        return timedelta(seconds=delays[0]) if delays else None

    def _marker(self, claim: EffectClaim) -> EffectMarker:
        since = claim.first_attempt_at - SINCE_SLACK if claim.first_attempt_at else None
        return EffectMarker(reference=claim.reference, installation=self.settings.installation, since=since)
