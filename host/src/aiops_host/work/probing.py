"""Probes taken up and answered beside the deliveries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from aiops_core.errors import AiopsError
from aiops_core.plugins import explain
from aiops_host.data import probes
from aiops_host.data.probes import ProbeClaim
from aiops_host.data.session import DatabaseBusy, DatabaseDown
from aiops_host.watch.logs import bound
from aiops_host.watch.tracing import span
from aiops_host.work.probe_kinds import Outcome, ProbeFunction
from aiops_host.work.probe_registry import KINDS
from aiops_host.work.workshop import Workshop

log = logging.getLogger(__name__)

AT_A_TIME = 4
PROBE_SECONDS = 60.0
LEASE = timedelta(seconds=PROBE_SECONDS + 20)


@dataclass(kw_only=True)
class Prober:
    """Takes up probes when woken and every ``every`` seconds, a few at a time."""

    workshop: Workshop
    worker: str
    every: float
    kinds: Mapping[str, ProbeFunction] = field(default_factory=lambda: KINDS)
    _called: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(self._work())

    def or_else(self, handler: Callable[[UUID, UUID], Awaitable[None]]) -> Callable[[UUID, UUID], Awaitable[None]]:
        """Return a handler of wake-ups: those of probes are ours, the others go to ``handler``."""

        async def woken(tenant_id: UUID, work_id: UUID) -> None:
            if tenant_id == probes.WAKE:
                self._called.set()
            else:
                await handler(tenant_id, work_id)

        return woken

    async def take_one(self) -> bool:
        """Take up one probe that is due; return whether there was any."""
        async with self.workshop.database.role("sweeper") as con:
            found = await probes.due(con, AT_A_TIME * 2)
        for tenant_id, probe_id in found:
            claimed = await probes.claim(self.workshop.database, tenant_id, probe_id, worker=self.worker, lease=LEASE)
            if claimed is not None:
                await self._answer(claimed)
                return True
        return False

    async def _work(self) -> None:
        while True:
            try:
                while await self.take_one():
                    pass
            except (DatabaseBusy, DatabaseDown):
                log.debug("PostgreSQL is away; probes wait")
            except Exception:  # isolation: job top; the probe's lease ends and it is taken up again
                log.exception("a probe broke off")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.every):
                    await self._called.wait()
            self._called.clear()

    async def _answer(self, claimed: ProbeClaim) -> None:
        with (
            bound(tenant_id=str(claimed.tenant_id)),
            span("probe", attributes={"kind": claimed.kind, "tenant_id": str(claimed.tenant_id)}),
        ):
            outcome = await self._tried(claimed)
            async with self.workshop.database.tenant(claimed.tenant_id) as con:
                await probes.finish(con, claimed, ok=outcome.ok, result=outcome.sentence)
            log.info("probe %s of %s: %s", claimed.kind, claimed.target, "ok" if outcome.ok else "failed")

    async def _tried(self, claimed: ProbeClaim) -> Outcome:
        function = self.kinds.get(claimed.kind)
        if function is None:
            return Outcome(False, f"This worker does not know how to test a {claimed.kind}.")
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await function(self.workshop, claimed.tenant_id, claimed.target)
        except TimeoutError:
            return Outcome(False, f"There was no answer within {PROBE_SECONDS:g} s.")
        except (DatabaseBusy, DatabaseDown):
            raise
        except AiopsError as error:
            return Outcome(False, explain(error))
        except Exception as error:  # isolation: a plugin's bug is the answer of its own test
            log.exception("probe %s failed", claimed.kind)
            return Outcome(False, f"The test itself failed ({type(error).__name__}); the worker's log says why.")
