"""Live objects of plugins, made per tenant and kept while their configuration stays the same."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import UUID

from aiops_core.agents import Agent, RunBudget
from aiops_core.config import NoConfig, PluginConfig, load_config
from aiops_core.plugins import PluginManager, explain
from aiops_core.registry import lookup
from aiops_core.specs import AgentSpec, ToolSpec
from aiops_core.ticketing import TicketingToolPlugin
from aiops_core.tools import Tool
from aiops_host.data import connections as stored
from aiops_host.data import privacy
from aiops_host.data.connections import ConnectionRecord
from aiops_host.data.privacy import Privacy
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.connections import SecretReader, SystemClock, load_connection, load_settings, make_for_worker
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.vault import Vault
from aiops_host.work.backends import BackendMaker, Backends
from aiops_host.work.services import PluginServices, TenantAssets, TenantHistory, TenantKnowledge
from aiops_host.work.tools import started

log = logging.getLogger(__name__)

KEPT = 256
CLOSE_AFTER_SECONDS = 180.0
MODEL_SECONDS = 600.0
MODEL_ANSWER_BYTES = 4 * 1024 * 1024
"""More than any answer to a bounded question can be."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AgentKit:
    """An agent with the tools and backends of its tenant, made at a version of its settings."""

    spec: AgentSpec
    agent: Agent
    tools: Mapping[str, tuple[ToolSpec, Tool[Any]]]
    backends: Backends
    budget: RunBudget
    version: int
    privacy: Privacy


class Kept(Generic[T]):
    """A bounded store of made objects; one that falls out is closed once no run can use it any more."""

    def __init__(self, close: Callable[[T], Awaitable[None]]) -> None:
        """Take how an object is closed."""
        self._close = close
        self._made: OrderedDict[Hashable, T] = OrderedDict()
        self._making: dict[Hashable, asyncio.Lock] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the object of the key, made once."""
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        async with self._making.setdefault(key, asyncio.Lock()):
            if key not in self._made:
                self._made[key] = await make()
        self._making.pop(key, None)
        while len(self._made) > KEPT:
            _, old = self._made.popitem(last=False)
            asyncio.get_running_loop().call_later(CLOSE_AFTER_SECONDS, self._close_soon, old)
        return self._made[key]

    async def aclose(self) -> None:
        """Close all objects."""
        for made in self._made.values():
            await self._closed(made)

    def _close_soon(self, made: T) -> None:
        task = asyncio.ensure_future(self._closed(made))
        task.add_done_callback(lambda _: None)

    async def _closed(self, made: T) -> None:
        try:
            await self._close(made)
        except Exception as error:  # isolation: a plugin that cannot close must not stop the worker
            log.warning("a plugin object did not close: %s", explain(error))


@dataclass(kw_only=True)
class Workshop:
    """Makes and keeps what the plugins contribute."""

    database: Database
    settings: Settings
    plugins: PluginManager
    vault: Vault
    http: GuardedHttp
    clock: SystemClock
    _tools: Kept[tuple[ConnectionRecord, TicketingToolPlugin]] = field(init=False)
    _kits: Kept[AgentKit] = field(init=False)
    _reader: SecretReader = field(init=False)
    backends: BackendMaker = field(init=False)
    _background: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the stores."""
        self._tools = Kept(lambda pair: pair[1].aclose())
        self._kits = Kept(_close_kit)
        self._reader = SecretReader(self.vault, "credentials")
        self.backends = BackendMaker(
            self.database, self.settings, self.plugins.registry, self._reader, self._services_of_models
        )

    async def ticketing_tool(
        self, tenant_id: UUID, connection_id: UUID, version: int
    ) -> tuple[ConnectionRecord, TicketingToolPlugin]:
        """Return the connection and its ticketing tool, made anew when the configuration's version changed.

        Raises:
            UnknownContribution: Its plugin is not installed.
            ConfigInvalid: Its configuration does not fit the installed plugin.
        """

        async def make() -> tuple[ConnectionRecord, TicketingToolPlugin]:
            loaded = await load_connection(self.database, self._reader, tenant_id, connection_id)
            tool = make_for_worker(self.plugins.registry, loaded, self._reader, self.http)
            if loaded.record.account_id is None:
                self._in_background(self._learn_account(loaded.record, tool))
            return loaded.record, tool

        return await self._tools.get((tenant_id, connection_id, version), make)

    async def agent_kit(self, tenant_id: UUID, agent: str, version: int) -> AgentKit:
        """Return the agent with the tenant's tools and backends, made anew when a setting's version changed.

        Raises:
            UnknownContribution: Its plugin is not installed.
            ConfigInvalid: A configuration does not fit the installed plugin.
        """
        return await self._kits.get((tenant_id, agent, version), lambda: self._make_kit(tenant_id, agent, version))

    async def warm_up(self) -> None:
        """Import what the agents need before the first ticket waits for it."""
        for spec in self.plugins.registry.agents.values():
            try:
                config = load_config(spec.config, {})
                await asyncio.to_thread(spec.factory, config, self._services(UUID(int=0), spec.name))
            except Exception as error:  # isolation: an agent that does not start fails its own runs only
                log.warning("agent %s does not start: %s", spec.name, explain(error))

    async def aclose(self) -> None:
        """Close everything made."""
        await asyncio.gather(*self._background)
        await self._tools.aclose()
        await self._kits.aclose()

    async def _make_kit(self, tenant_id: UUID, agent: str, version: int) -> AgentKit:
        registry = self.plugins.registry
        spec = lookup(registry.agents, agent)
        configs = await self._configs(tenant_id, "agent")
        async with self.database.tenant(tenant_id) as con:
            kept_back = await privacy.read(con)
        return AgentKit(
            spec=spec,
            agent=spec.factory(configs.get(agent) or load_config(spec.config, {}), self._services(tenant_id, agent)),
            tools=await self._make_tools(tenant_id),
            backends=await self.backends.make(tenant_id),
            budget=RunBudget(total_seconds=self.settings.run_timeout),
            version=version,
            privacy=kept_back,
        )

    async def _make_tools(self, tenant_id: UUID) -> dict[str, tuple[ToolSpec, Tool[Any]]]:
        configs = await self._configs(tenant_id, "tool")
        async with self.database.tenant(tenant_id) as con:
            disabled = {s.name for s in await stored.settings_of(con, "tool") if not s.enabled}
        made: dict[str, tuple[ToolSpec, Tool[Any]]] = {}
        for name, spec in self.plugins.registry.tools.items():
            if name in disabled or (name not in configs and spec.config is not NoConfig):
                continue
            made[name] = started(spec, partial(self._make_tool, tenant_id, spec, configs.get(name)))
        return made

    def _make_tool(self, tenant_id: UUID, spec: ToolSpec, config: PluginConfig | None) -> object:
        return spec.factory(config or load_config(spec.config, {}), self._services(tenant_id, spec.name))

    async def _configs(self, tenant_id: UUID, kind: stored.SettingKind) -> dict[str, PluginConfig]:
        loaded = await load_settings(self.database, self._reader, self.plugins.registry, tenant_id, kind)
        return {setting.name: setting.config for setting in loaded}

    async def _learn_account(self, record: ConnectionRecord, tool: TicketingToolPlugin) -> None:
        """Ask the ticketing tool who we are there, so that webhooks about our own notes can be told."""
        try:
            health = await tool.check_health()
            if health.account_id:
                await stored.set_account(self.database, record.tenant_id, record.connection_id, health.account_id)
        except Exception as error:  # isolation: a failed health check costs the loop guard only, markers remain
            log.warning("connection %s does not say which account it uses: %s", record.connection_id, explain(error))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _services_of_models(self, tenant_id: UUID, plugin: str) -> PluginServices:
        patient = self.http.patient(total_seconds=MODEL_SECONDS, max_body_bytes=MODEL_ANSWER_BYTES)
        return replace(self._services(tenant_id, plugin), http=patient)

    def _services(self, tenant_id: UUID, plugin: str) -> PluginServices:
        return PluginServices(
            http=self.http,
            clock=self.clock,
            log=logging.getLogger(f"aiops.plugin.{plugin}"),
            history=TenantHistory(self.database, tenant_id),
            knowledge=TenantKnowledge(self.database, tenant_id),
            assets=TenantAssets(self.database, tenant_id),
        )


async def _close_kit(kit: AgentKit) -> None:
    for _, backend in kit.backends.made:
        await backend.aclose()
