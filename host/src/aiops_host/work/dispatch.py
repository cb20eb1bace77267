"""Slots of one worker: which work is taken up next, its leases kept alive, its end told to observers."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from aiops_core.agents import RunFinished
from aiops_core.plugins import explain
from aiops_host.data import census, claims, effects, reconciles, workers
from aiops_host.data.claims import DeliveryClaim, Due, LeaseLost, Quarantined
from aiops_host.data.effects import EffectClaim
from aiops_host.data.session import Database, DatabaseBusy, DatabaseDown
from aiops_host.settings import Settings
from aiops_host.watch.logs import bound
from aiops_host.watch.metrics import Metrics
from aiops_host.watch.tracing import span, trace_id
from aiops_host.work.observers import Observers
from aiops_host.work.pipeline import Pipeline
from aiops_host.work.reconcile import Reconciler
from aiops_host.work.settle import Settler
from aiops_host.work.workshop import Workshop

log = logging.getLogger(__name__)

LOOK_AHEAD = 16
CLAIMS_AT_ONCE = 8
"""One claim after the other filled 400 slots of a busy worker no faster than 28 a second."""

WATCH_SECONDS = 5.0
ResultT = TypeVar("ResultT")
DATABASE_AWAY = (DatabaseBusy, DatabaseDown)


@dataclass(kw_only=True)
class Dispatcher:
    """Takes up due work while a slot is free; tenants take turns."""

    database: Database
    settings: Settings
    pipeline: Pipeline
    workshop: Workshop
    observers: Observers
    metrics: Metrics
    worker: str
    slots: asyncio.Semaphore = field(init=False)
    settler: Settler = field(init=False)
    reconciler: Reconciler = field(init=False)
    _ahead: deque[Due] = field(default_factory=deque)
    _suspect: UUID | None = None
    _touched: set[UUID] = field(default_factory=set)
    _held: dict[UUID, tuple[DeliveryClaim, asyncio.Task[object]]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[object]] = field(default_factory=set)
    _choosing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _more: bool = False
    """There may be due work that was not looked at."""

    _draining: bool = False
    _database_away: bool = False

    def __post_init__(self) -> None:
        """Make the slots."""
        self.slots = asyncio.Semaphore(self.settings.slots)
        self.settler = Settler(database=self.database, settings=self.settings, posted=self._posted)
        self.reconciler = Reconciler(database=self.database, settings=self.settings, doubled=self._doubled)

    async def woken(self, _tenant_id: UUID, _delivery_id: UUID) -> None:
        """Take up due work, the fairest first; a wake-up says that there is some, not which comes first."""
        self._more = True
        await self._take_while_due()

    async def poll(self) -> None:
        """Take up due work every poll interval, for what no wake-up reached, until drained."""
        while not self._draining:
            self._more = True
            await asyncio.gather(*(self._take_while_due() for _ in range(CLAIMS_AT_ONCE)))
            await asyncio.sleep(self.settings.poll_interval)

    async def keep_leases(self) -> None:
        """Renew the leases of what is being worked on; stop what is lost."""
        lease = timedelta(seconds=self.settings.lease)
        while True:
            await asyncio.sleep(self.settings.heartbeat)
            for tenant_id in {claim.tenant_id for claim, _ in self._held.values()}:
                await self._guarded(self._renew(tenant_id, lease))

    async def reconcile(self) -> None:
        """Look again at notes whose write was in doubt, one after the other, until drained."""
        while not self._draining:
            await self._guarded(self._reconcile_due())
            await asyncio.sleep(max(self.settings.poll_interval, self.settings.lease / 10))

    async def drain(self, grace: float) -> None:
        """Take up nothing more, let running work finish for ``grace`` seconds, give the rest back."""
        self._draining = True
        running = {task for _, task in self._held.values()} | self._tasks
        running.discard(asyncio.current_task())
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    @property
    def busy(self) -> int:
        """How many deliveries are being worked on."""
        return len(self._held)

    async def _take_while_due(self) -> None:
        while not self._draining and not self.slots.locked():
            await self.slots.acquire()
            claimed = await self._guarded(self._next())
            if claimed is None:
                self.slots.release()
                return
            self._start(self._guarded(self._carry_out(claimed))).add_done_callback(self._slot_freed)

    def _slot_freed(self, _: asyncio.Task[object]) -> None:
        self.slots.release()
        if self._more or self._ahead:
            self._start(self._take_while_due())

    def _start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry_out(self, claimed: DeliveryClaim | EffectClaim) -> None:
        kind = "delivery" if isinstance(claimed, DeliveryClaim) else "effect"
        parent = claimed.traceparent
        ids = {"tenant_id": str(claimed.tenant_id), "delivery_id": str(claimed.delivery_id)}
        with bound(**ids, trace_id=trace_id(parent)), span(kind, kind="consumer", parent=parent, attributes=ids):
            try:
                if isinstance(claimed, DeliveryClaim):
                    await self._deliver(claimed)
                else:
                    await self._settle(claimed)
            finally:
                self._cleared(claimed.delivery_id)

    async def _deliver(self, claim: DeliveryClaim) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._held[claim.delivery_id] = (claim, task)
        try:
            result = await self.pipeline.work(claim)
        except asyncio.CancelledError:
            if self._draining:
                await self._guarded(self.pipeline.release(claim))
            raise
        finally:
            self._held.pop(claim.delivery_id, None)
        for step in result.run.steps if result.run else ():
            self.metrics.step(step.name, step.milliseconds / 1000)
            self.metrics.tokens.labels("prompt").inc(step.prompt_tokens)
            self.metrics.tokens.labels("completion").inc(step.completion_tokens)
        log.info("delivery on ticket %s: %s", claim.ticket_id, result.outcome)
        if result.outcome == "dead":
            self.metrics.ended("dead")
        if result.effect_id is not None:
            await self._settle_planned(claim.tenant_id, result.effect_id)

    async def _reconcile_due(self) -> None:
        async with self.database.role("sweeper") as con:
            found = await reconciles.due(con, LOOK_AHEAD)
        for tenant_id, effect_id in found:
            hold = timedelta(seconds=self.settings.lease * 2)
            doubtful = await reconciles.claim(self.database, tenant_id, effect_id, hold=hold)
            if doubtful is not None:
                _, tool = await self.workshop.ticketing_tool(tenant_id, doubtful.connection_id, doubtful.config_version)
                await self.reconciler.reconcile(doubtful, tool)

    async def _settle_planned(self, tenant_id: UUID, effect_id: UUID) -> None:
        lease = timedelta(seconds=self.settings.lease)
        # It is due like any other, and would be claimed a second time in vain by whoever found it in the list.
        self._touched.add(effect_id)
        self._ahead = deque(due for due in self._ahead if due.id != effect_id)
        try:
            claimed = await effects.claim(self.database, tenant_id, effect_id, worker=self.worker, lease=lease)
        finally:
            self._touched.discard(effect_id)
        if claimed is not None:
            await self._settle(claimed)

    async def _settle(self, claim: EffectClaim) -> None:
        _, tool = await self.workshop.ticketing_tool(claim.tenant_id, claim.connection_id, claim.config_version)
        outcome = await self.settler.settle(claim, tool)
        if outcome in ("dead", "parked"):
            self.metrics.ended(outcome)
        log.info("effect %s on ticket %s: %s", claim.effect_id, claim.ticket_id, outcome)

    async def _next(self) -> DeliveryClaim | EffectClaim | None:
        """Claim the fairest due work; ``None`` when there is none to be had."""
        lease = timedelta(seconds=self.settings.lease)
        while (due := await self._choose()) is not None:
            claimed: DeliveryClaim | EffectClaim | None = None
            try:
                if due.kind == "delivery":
                    claimed = await claims.claim(
                        self.database,
                        due.tenant_id,
                        due.id,
                        worker=self.worker,
                        lease=lease,
                        max_crashes=self.settings.max_crashes,
                    )
                else:
                    claimed = await effects.claim(self.database, due.tenant_id, due.id, worker=self.worker, lease=lease)
            except Quarantined:
                self.metrics.quarantined.inc()
                self.metrics.ended("quarantined")
                log.error("delivery %s is in quarantine: its workers died", due.id)
            finally:
                self._touched.discard(due.id)
                if claimed is None:
                    self._cleared(due.id)
            if claimed is not None:
                return claimed
        return None

    async def _choose(self) -> Due | None:
        async with self._choosing:
            if not self._ahead and self._more:
                self._more = False
                async with self.database.role("sweeper") as con:
                    # What others here are just claiming comes first in the list, and must not fill all of it.
                    wanted = LOOK_AHEAD + len(self._touched)
                    found = await claims.due(con, wanted, suspects=self._suspect is None)
                self._more = self._more or len(found) >= wanted
                fresh = [due for due in found if due.id not in self._touched]
                self._ahead.extend(due for due in fresh if not due.suspect)
                # Together in one worker, what kills it would drag the others with it until all are quarantined.
                self._ahead.extend([due for due in fresh if due.suspect][:1])
            if not self._ahead:
                return None
            due = self._ahead.popleft()
            self._touched.add(due.id)
            if due.suspect:
                self._suspect = due.id
            return due

    def _doubled(self, notes: int) -> None:
        self.metrics.duplicates.inc(notes)

    def _cleared(self, delivery_id: UUID) -> None:
        if self._suspect == delivery_id:
            self._suspect = None

    async def _renew(self, tenant_id: UUID, lease: timedelta) -> None:
        held = {claim.delivery_id: (claim, task) for claim, task in self._held.values() if claim.tenant_id == tenant_id}
        kept = await claims.renew(self.database, tenant_id, [claim for claim, _ in held.values()], lease)
        for delivery_id in held.keys() - kept:
            if self._held.get(delivery_id) == held[delivery_id]:
                self.metrics.lease_steals.inc()
                log.warning("the lease of delivery %s is lost; its work stops", delivery_id)
                held[delivery_id][1].cancel()

    async def _guarded(self, work: Coroutine[Any, Any, ResultT]) -> ResultT | None:
        """Await ``work``; a lost lease or an absent database ends it quietly, the work is taken up again."""
        try:
            result = await work
        except LeaseLost:
            self.metrics.lease_steals.inc()
            log.warning("a lease was lost; another worker has the work")
        except DATABASE_AWAY as error:
            if not self._database_away:
                log.error("PostgreSQL is away, work waits: %s", explain(error))
            self._database_away = True
        except Exception:  # isolation: job top; the lease ends and the work is taken up again
            log.exception("work broke off")
        else:
            self._database_away = False
            return result
        return None

    async def watch(self) -> None:
        """Set the gauges every ``WATCH_SECONDS``."""
        while True:
            await self.take_stock()
            await asyncio.sleep(WATCH_SECONDS)

    async def take_stock(self) -> None:
        """Say that this worker lives and set the gauges, once."""
        await self._guarded(self._gauge())

    async def _gauge(self) -> None:
        busy, most = self.database.usage()
        self.metrics.running.set(len(self._held))
        self.metrics.observer_failures.inc(self.observers.take_failures())
        alive = workers.Beat(
            name=self.worker,
            slots=self.settings.slots,
            running=len(self._held),
            pool_in_use=busy,
            pool_size=most,
        )
        async with self.database.role("sweeper") as con:
            await workers.beat(con, alive)
            counted = await census.take(con)
        self.metrics.backlog.show(counted, () if self._draining else counted.tenants)

    def _posted(self, claim: EffectClaim, note: effects.Confirmed) -> None:
        self.metrics.ended("posted", seconds=None if note.replayed else note.age_seconds)
        self.observers.tell(
            RunFinished(
                tenant_id=str(claim.tenant_id),
                connection_id=str(claim.connection_id),
                ticketing_tool=note.ticketing_tool,
                ticket_id=claim.ticket_id,
                delivery_id=str(claim.delivery_id),
                run_id=str(claim.run_id),
                agent=note.agent,
                outcome="posted",
                milliseconds=note.age_seconds * 1000,
            )
        )
