"""A worker's way to models, from a tenant's key to the provider's server, without deliveries and tickets around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support.databases import TenantRow
from tests.support.egress import LOOPBACK
from tests.support.keys import make_vault

from aiops_agents import plugin
from aiops_core import Completion, ModelPrice, PluginManager
from aiops_core.testing.fakes import RecordingLog, make_request
from aiops_host.data import probes, usage
from aiops_host.data.budgets import Budget, Period, SetBy, put
from aiops_host.data.probes import ProbeView
from aiops_host.data.providers import Provider
from aiops_host.data.session import Database
from aiops_host.data.usage import UsageRow
from aiops_host.settings import Settings
from aiops_host.trust import audit
from aiops_host.trust.catalogue import change_catalogue
from aiops_host.trust.connections import SystemClock
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.tenant_keys import Entering, NewKey, enter_key, enter_untried
from aiops_host.trust.vault import Vault
from aiops_host.watch.metrics import Metrics
from aiops_host.work.context import BoundLLM
from aiops_host.work.metering import Meters
from aiops_host.work.probing import Prober
from aiops_host.work.workshop import Workshop

QUICK = "0.01,0.02,0.04"


@dataclass
class Run:
    """One run's way to its models."""

    desk: ModelDesk
    tenant: TenantRow
    llm: BoundLLM

    async def ask(self, **changes: Any) -> Completion:
        """Ask what an agent would."""
        return await self.llm.complete(make_request(**changes))

    async def settle(self) -> None:
        """Store what the run used, as the end of a run does."""
        async with self.desk.database.tenant(self.tenant.tenant_id) as con:
            await usage.settle(con, self.tenant.tenant_id, self.llm.meter.spent)


@dataclass
class ModelDesk:
    """The parts of a worker that reach models, over the test's database."""

    database: Database
    vault: Vault
    settings: Settings
    metrics: Metrics
    workshop: Workshop
    meters: Meters
    prober: Prober
    log: RecordingLog = field(default_factory=RecordingLog)

    async def provider(self, name: str, address: str, **more: Any) -> None:
        """Let the operator list a provider at an address."""
        prices = {model: ModelPrice(input=i, output=o) for model, (i, o) in more.pop("prices", {}).items()}
        entry = Provider(
            name=name, title=name.title(), address=address, prices=prices, **{"protocol": "openai", **more}
        )
        await change_catalogue(self.database, entry, actor=audit.operator())

    def who(self, tenant: TenantRow, **more: Any) -> Entering:
        """Return the tenant's administrator."""
        return Entering(tenant_id=tenant.tenant_id, actor=audit.operator(), **more)

    async def enter(self, tenant: TenantRow, provider: str, key: str, *models: str, **more: Any) -> ProbeView:
        """Enter a key and let the worker try it."""
        new = NewKey(key=key, models=models or ("m",), endpoint=more.pop("endpoint", None))
        probe_id = await enter_key(self.database, self.vault, self.who(tenant, **more), provider, new)
        await self.prober.take_one()
        return await probes.show(self.database, tenant.tenant_id, probe_id)

    async def use(self, tenant: TenantRow, provider: str, key: str, *models: str, **more: Any) -> UUID:
        """Enter a key that is used untried."""
        new = NewKey(key=key, models=models or ("m",), endpoint=more.pop("endpoint", None))
        return await enter_untried(self.database, self.vault, self.who(tenant, **more), provider, new)

    async def budget(self, tenant: TenantRow, period: Period = "month", by: SetBy = "tenant", **limits: Any) -> None:
        """Set a budget."""
        async with self.database.tenant(tenant.tenant_id) as con:
            await put(con, tenant.tenant_id, by, period, Budget(**limits))

    async def run(self, tenant: TenantRow, agent: str = "enhance") -> Run:
        """Begin a run of an agent, with backends as the tenant has them now."""
        async with self.database.tenant(tenant.tenant_id) as con:
            version = await con.fetchval("select coalesce(sum(version), 0)::int from plugin_setting")
        kit = await self.workshop.agent_kit(tenant.tenant_id, agent, version)
        meter = self.meters.run(tenant.tenant_id, agent, version=version, budgeted=kit.backends.budgeted)
        return Run(self, tenant, BoundLLM(kit.backends, kit.budget, meter, self.log))

    async def ledger(self, tenant: TenantRow) -> list[UsageRow]:
        """Return what the tenant's ledger holds."""
        async with self.database.tenant(tenant.tenant_id) as con:
            today = await con.fetchval("select (clock_timestamp() at time zone 'utc')::date")
            return await usage.rows(con, today, today)

    def figure(self, name: str, /, **labels: str) -> float | None:
        """Return what a scrape would show."""
        return self.metrics.registry.get_sample_value(name, labels)


@asynccontextmanager
async def model_desk(database: Database, folder: Path, **settings: Any) -> AsyncIterator[ModelDesk]:
    """Give the desk; waits between tries are hundredths of a second unless ``settings`` say otherwise."""
    plugins, vault, http = PluginManager(), make_vault(folder), GuardedHttp.open(LOOPBACK)
    plugins.load("agents", lambda: plugin, distribution="aiops-agents", version="1")
    made, metrics = Settings(**{"llm_delays": QUICK, "default_backend": "", **settings}), Metrics()
    workshop = Workshop(database=database, settings=made, plugins=plugins, vault=vault, http=http, clock=SystemClock())
    prober = Prober(workshop=workshop, worker="w", every=3600)
    meters = Meters.of(database, made, metrics)
    try:
        yield ModelDesk(database, vault, made, metrics, workshop, meters, prober)
    finally:
        await workshop.aclose()
        await http.aclose()
