"""A tenant's ways to its models: with its keys in the operator's catalogue first, then the backends set by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from aiops_core.config import Secret, load_config
from aiops_core.errors import ConfigInvalid
from aiops_core.llm import LLMBackend, ModelRoute
from aiops_core.plugins import explain
from aiops_core.registry import Registry, lookup
from aiops_core.specs import LLMBackendSpec
from aiops_host.data import budgets, providers
from aiops_host.data.providers import Provider
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.catalogue import check_addresses
from aiops_host.trust.connections import SecretReader, load_settings
from aiops_host.trust.tenant_keys import handle, keyed_backend, live_keys, routes
from aiops_host.work.services import PluginServices

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backends:
    """Backends in the order they are asked, what could not be used and why, and whether a budget stands above them."""

    made: Sequence[tuple[str, LLMBackend]] = ()
    unusable: Sequence[str] = ()
    budgeted: bool = False


@dataclass(frozen=True, slots=True)
class BackendMaker:
    """Makes backends; a key is put into one only together with the address the operator's catalogue has for it."""

    database: Database
    settings: Settings
    registry: Registry
    reader: SecretReader
    services: Callable[[UUID, str], PluginServices]

    async def make(self, tenant_id: UUID) -> Backends:
        """Return the tenant's backends; one whose address the operator no longer lists is left out.

        Raises:
            ConfigInvalid: A stored configuration does not fit the installed plugin.
        """
        async with self.database.tenant(tenant_id) as con:
            listed = await providers.catalogue_in(con)
            budgeted = await budgets.any_set(con)
        keys, handles = await live_keys(self.database, tenant_id, self.reader)
        asked, unusable = routes(listed, keys, handles)
        made = []
        if asked:
            spec = keyed_backend(self.registry)
            made.append((spec.name, await self._made(spec, asked, tenant_id)))
        for name, backend in await self._by_hand(tenant_id, listed, unusable):
            made.append((name, backend))
        if not made and not unusable and self.settings.default_backend:
            spec = lookup(self.registry.llm_backends, self.settings.default_backend)
            services = self.services(tenant_id, spec.name)
            made = [(spec.name, await asyncio.to_thread(spec.factory, load_config(spec.config, {}), services))]
        return Backends(made, tuple(unusable), budgeted)

    async def for_key(self, tenant_id: UUID, key_id: UUID) -> tuple[Provider, LLMBackend]:
        """Return a key's provider and a backend that asks the first of its models with that key and nothing else.

        Raises:
            UnknownKey: The key is gone.
            ConfigInvalid: Its provider or endpoint is not in the operator's catalogue.
        """
        async with self.database.tenant(tenant_id) as con:
            listed = await providers.catalogue_in(con)
            key = await providers.key(con, key_id)
        handles: dict[UUID, Secret] = {key_id: await handle(self.database, tenant_id, key_id, self.reader)}
        asked, unusable = routes(listed, [providers.as_live(key)], handles)
        if not asked:
            raise ConfigInvalid(f"The key was not tried: {unusable[0]}.")
        entry = next(p for p in listed if p.name == key.provider)
        return entry, await self._made(keyed_backend(self.registry), asked[:1], tenant_id)

    async def _made(self, spec: LLMBackendSpec, asked: Sequence[ModelRoute], tenant_id: UUID) -> LLMBackend:
        assert spec.routes is not None  # noqa: S101 - keyed_backend chose it for that
        config = spec.routes(asked)
        check_addresses(await providers.catalogue(self.database), spec.addresses(config))
        return await asyncio.to_thread(spec.factory, config, self.services(tenant_id, spec.name))

    async def _by_hand(
        self, tenant_id: UUID, listed: Sequence[Provider], unusable: list[str]
    ) -> list[tuple[str, LLMBackend]]:
        made: list[tuple[str, LLMBackend]] = []
        for setting in await load_settings(self.database, self.reader, self.registry, tenant_id, "llm-backend"):
            spec = self.registry.llm_backends[setting.name]
            try:
                check_addresses(listed, spec.addresses(setting.config))
            except ConfigInvalid as error:
                log.warning("LLM backend %s is not used: %s", setting.name, explain(error))
                unusable.append(f"{setting.name}: {explain(error)}")
                continue
            services = self.services(tenant_id, setting.name)
            made.append((setting.name, await asyncio.to_thread(spec.factory, setting.config, services)))
        return made
