"""What a worker counts while it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from tests.integration.work.conftest import Board
from tests.support.databases import TenantRow, TwoTenants
from tests.support.egress import LOOPBACK
from tests.support.keys import make_vault
from tests.support.postbox import Postbox, PostboxConfig, PostboxPlugin

from aiops_core import PluginManager, Ticket, TicketingToolSpec, TicketNotFound, hookimpl
from aiops_host.data.session import Database
from aiops_host.data.usage import UsageWriter
from aiops_host.settings import Settings
from aiops_host.trust.connections import NewConnection, SystemClock, create_connection
from aiops_host.trust.egress import GuardedHttp
from aiops_host.watch.metrics import Metrics
from aiops_host.work.dispatch import Dispatcher
from aiops_host.work.execute import Executor
from aiops_host.work.metering import Meters
from aiops_host.work.observers import Observers
from aiops_host.work.pipeline import Pipeline
from aiops_host.work.workshop import Workshop

Happens = Callable[[str], Awaitable[Ticket]]


async def not_found(_ticket_id: str) -> Ticket:
    """Find nothing."""
    raise TicketNotFound


@dataclass(eq=False)
class Eventful(PostboxPlugin):
    """The postbox with a ticketing tool that lets ``happens`` happen when a ticket is fetched."""

    happens: Happens = not_found

    @hookimpl
    def aiops_register_ticketing_tools(self) -> Iterable[TicketingToolSpec]:
        """Contribute the ticketing tool."""
        plugin = self

        class Tool(Postbox):
            async def get_ticket(self, ticket_id: str) -> Ticket:
                return await plugin.happens(ticket_id)

        return [TicketingToolSpec(name="eventful", title="Eventful", factory=Tool, config=PostboxConfig)]


@dataclass
class Shift:
    """A worker's dispatcher at work for one tenant."""

    board: Board
    tenant: TenantRow
    connection_id: UUID
    dispatcher: Dispatcher
    plugin: Eventful
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        """Take the dispatcher's metrics."""
        self.metrics = self.dispatcher.metrics

    async def delivery(self) -> UUID:
        """Store a queued delivery."""
        return await self.board.delivery(self.tenant, self.connection_id)

    async def work(self, delivery_id: UUID) -> None:
        """Take up what is due, and wait for its end."""
        await self.dispatcher.woken(self.tenant.tenant_id, delivery_id)
        await asyncio.gather(*self.dispatcher._tasks)

    def figure(self, name: str, /, **labels: str) -> float | None:
        """Return what a scrape would show."""
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
async def shift(opened: Database, board: Board, two_tenants: TwoTenants, tmp_path: Path) -> AsyncIterator[Shift]:
    """A worker with one ticketing tool and no agent."""
    plugin, plugins, vault = Eventful(), PluginManager(), make_vault(tmp_path)
    plugins.load("eventful", lambda: plugin, distribution="tests", version="1")
    settings, http, clock = Settings(), GuardedHttp.open(LOOPBACK), SystemClock()
    new = NewConnection(name="desk", ticketing_tool="eventful")
    created = await create_connection(opened, vault, plugins.registry, two_tenants.a.tenant_id, new)
    workshop = Workshop(database=opened, settings=settings, plugins=plugins, vault=vault, http=http, clock=clock)
    meters = Meters.of(opened, settings, Metrics())
    executor = Executor(settings=settings, workshop=workshop, clock=clock, meters=meters)
    observers = Observers(plugins)
    dispatcher = Dispatcher(
        database=opened,
        settings=settings,
        pipeline=Pipeline(
            database=opened, settings=settings, workshop=workshop, executor=executor, ledger=UsageWriter(opened)
        ),
        workshop=workshop,
        observers=observers,
        metrics=Metrics(),
        worker="w",
    )
    yield Shift(board, two_tenants.a, created.connection_id, dispatcher, plugin)
    observers.close()
    await workshop.aclose()
    await http.aclose()


async def test_a_dead_letter_is_counted(shift: Shift) -> None:
    """A ticket that is gone ends without a note, and the success rate says so."""
    await shift.work(await shift.delivery())
    assert shift.figure("enhancement_requests_total", outcome="dead") == 1
    assert shift.figure("enhancement_success_rate") == 0


async def test_a_quarantine_is_counted_once(shift: Shift) -> None:
    """A delivery whose workers died counts as one put into quarantine and as one failed enhancement."""
    delivery_id = await shift.delivery()
    for number in range(5):
        assert await shift.board.claim(shift.tenant, delivery_id, worker=f"dead-{number}")
        await shift.board.expire(shift.tenant, "delivery")
    await shift.work(delivery_id)
    await shift.work(delivery_id)
    assert shift.figure("quarantined_total") == 1
    assert shift.figure("enhancement_requests_total", outcome="quarantined") == 1


async def test_a_stolen_lease_is_counted(shift: Shift) -> None:
    """When another worker takes the work over meanwhile, what was done is dropped and the loss is counted."""
    delivery_id = await shift.delivery()

    async def steal(_ticket_id: str) -> Ticket:
        await shift.board.expire(shift.tenant, "delivery")
        assert await shift.board.claim(shift.tenant, delivery_id, worker="thief")
        raise TicketNotFound

    shift.plugin.happens = steal
    await shift.work(delivery_id)
    assert shift.figure("lease_steals_total") == 1
    assert shift.figure("enhancement_requests_total", outcome="dead") == 0
