"""The worker process: parts put together, signals, drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from aiops_core.plugins import PluginManager
from aiops_host.data import walls
from aiops_host.data.session import Database, DatabaseDown
from aiops_host.data.usage import UsageWriter
from aiops_host.settings import Settings
from aiops_host.trust.connections import SystemClock
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.mail import make_mailer
from aiops_host.trust.opening import in_use
from aiops_host.trust.vault import Vault
from aiops_host.watch.loop_lag import watching_loop
from aiops_host.watch.metrics import Metrics
from aiops_host.work.budget_mails import BudgetMails
from aiops_host.work.budget_watch import BudgetWatch
from aiops_host.work.dispatch import Dispatcher
from aiops_host.work.execute import Executor
from aiops_host.work.metering import Meters
from aiops_host.work.observers import Observers
from aiops_host.work.pipeline import Pipeline
from aiops_host.work.probing import Prober
from aiops_host.work.queue import WakeListener
from aiops_host.work.workshop import Workshop

log = logging.getLogger(__name__)

START_ATTEMPTS = 60
COLLECTED_AFTER = (10_000, 10, 10)
"""Objects between collections of garbage, and these between those of longer lived objects. A run makes thousands and
hundreds are under way: Python's own 700 had each object of a run looked at several times while it was still in use."""


async def run_worker(
    settings: Settings, plugins: PluginManager, *, vault: Vault, metrics: Metrics, ready: Callable[[str], None]
) -> None:
    """Work until SIGTERM or SIGINT, then drain; ``ready`` is told the worker's name once it can work.

    Raises:
        DatabaseDown: PostgreSQL did not answer within a minute of the start.
        RoleRefused: A database role has too many rights.
        ConfigInvalid: The mail server's settings cannot work.
    """
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    async with AsyncExitStack() as stack:
        database = await _database(settings)
        stack.push_async_callback(database.close)
        await walls.check(database)
        metrics.rls_self_check.set(1)
        await stack.enter_async_context(in_use(vault, database, "worker"))
        metrics.show_pool(database.usage)
        http = _http(settings, metrics)
        stack.push_async_callback(http.aclose)
        workshop = Workshop(
            database=database, settings=settings, plugins=plugins, vault=vault, http=http, clock=SystemClock()
        )
        stack.push_async_callback(workshop.aclose)
        observers = Observers(plugins)
        stack.callback(observers.close)
        dispatcher = _dispatcher(workshop, observers, metrics)
        metrics.show_plugins(plugins.records)
        watches = _watches(settings, database, metrics)
        await workshop.warm_up()
        await dispatcher.take_stock()
        _collect_less()
        await stack.enter_async_context(watching_loop(metrics))
        ready(dispatcher.worker)
        prober = Prober(workshop=workshop, worker=dispatcher.worker, every=settings.poll_interval)
        await _work(settings, dispatcher, (prober, *watches), stopping)


def _dispatcher(workshop: Workshop, observers: Observers, metrics: Metrics) -> Dispatcher:
    database, settings = workshop.database, workshop.settings
    meters = Meters.of(database, settings, metrics)
    return Dispatcher(
        database=database,
        settings=settings,
        pipeline=Pipeline(
            database=database,
            settings=settings,
            workshop=workshop,
            executor=Executor(settings=settings, workshop=workshop, clock=workshop.clock, meters=meters),
            ledger=UsageWriter(database),
        ),
        workshop=workshop,
        observers=observers,
        metrics=metrics,
        worker=own_name(),
    )


def own_name() -> str:
    """Return a name no other process has or had: in a container a worker and its successor share host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


def _http(settings: Settings, metrics: Metrics) -> GuardedHttp:
    return GuardedHttp.open(
        Destinations.parse(settings.egress_private, settings.egress_ports),
        connections=settings.slots * 2,
        denied=lambda reason: metrics.egress_denied.labels(reason).inc(),
    )


def _collect_less() -> None:
    """Leave what is loaded by now out of every collection of garbage, and collect less often."""
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


def _watches(settings: Settings, database: Database, metrics: Metrics) -> list[BudgetWatch | BudgetMails]:
    watches: list[BudgetWatch | BudgetMails] = [BudgetWatch(database, metrics)]
    if (mailer := make_mailer(settings)) is not None:
        watches.append(BudgetMails(database, mailer, settings.dashboard_url))
    return watches


async def _work(
    settings: Settings,
    dispatcher: Dispatcher,
    beside: tuple[Prober, *tuple[BudgetWatch | BudgetMails, ...]],
    stopping: asyncio.Event,
) -> None:
    listener = None
    if settings.redis_url:
        listener = WakeListener(settings.redis_url, beside[0].or_else(dispatcher.woken), slots=settings.slots)
    else:
        log.warning("AIOPS_REDIS_URL is not set; work is found by polling every %g s", settings.poll_interval)
    loops = [asyncio.create_task(loop()) for loop in (*_loops(dispatcher), *(part.run for part in beside))]
    if listener is not None:
        loops.append(asyncio.create_task(listener.run()))
    log.info("worker ready, %d slots", settings.slots)
    ended = asyncio.create_task(stopping.wait())
    await asyncio.wait([ended, *loops], return_when=asyncio.FIRST_COMPLETED)
    log.info("worker stops, %d deliveries to finish", dispatcher.busy)
    if listener is not None:
        listener.stop()
    await dispatcher.drain(settings.drain_timeout)
    for task in (ended, *loops):
        task.cancel()
    failures = [r for r in await asyncio.gather(*loops, return_exceptions=True) if isinstance(r, Exception)]
    if failures:
        raise failures[0]


def _loops(dispatcher: Dispatcher) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
    return dispatcher.poll, dispatcher.keep_leases, dispatcher.reconcile, dispatcher.watch


async def _database(settings: Settings) -> Database:
    urls = {"app": settings.database_url, "sweeper": settings.sweeper_database_url}
    sizes = {"app": settings.pool_size - 2, "sweeper": 2}
    for attempt in range(START_ATTEMPTS):
        try:
            # A busy moment of hundreds of runs shall not cost one of them its attempt and a lease's length of waiting.
            return await Database.open(urls, sizes, patience=settings.lease / 3)
        except DatabaseDown as error:
            if attempt == START_ATTEMPTS - 1:
                raise
            log.warning("%s; trying again", error)
            await asyncio.sleep(1)
    raise DatabaseDown
