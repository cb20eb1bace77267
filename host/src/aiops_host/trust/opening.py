"""The vault as the settings and the installed plugins have it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aiops_core.config import PluginConfig, load_config
from aiops_core.errors import ConfigInvalid, KeyProviderRefused
from aiops_core.registry import Registry, UnknownContribution, lookup
from aiops_core.services import Clock, HttpClient, HttpResponse, Log
from aiops_core.specs import KeyProviderSpec
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.audit import Decryptions, Opened
from aiops_host.trust.connections import SystemClock
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.keys.file_provider import PROVIDER
from aiops_host.trust.vault import KeyRefused, Vault

PROVIDER_CONFIG = "AIOPS_KEY_PROVIDER_CONFIG"
PROVIDER_SECONDS = 10.0


class _HttpPerRequest:
    """The guarded client, opened for each of the few requests that a provider makes: nobody has to close it."""

    def __init__(self, settings: Settings) -> None:
        self._destinations = Destinations.parse(settings.egress_private, settings.egress_ports)

    async def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        http = GuardedHttp.open(self._destinations, total_seconds=PROVIDER_SECONDS, connections=1)
        try:
            return await http.request(method, url, **options)
        finally:
            await http.aclose()


@dataclass(slots=True)
class KeyKit:
    """What a key provider's factory is handed; core's ``KeyServices``."""

    http: HttpClient
    clock: Clock = field(default_factory=SystemClock)
    log: Log = field(default_factory=lambda: logging.getLogger("aiops.plugin.keys"))


def open_vault(settings: Settings, registry: Registry, provider: str = "") -> Vault:
    """Return the vault of a key provider; of the one that the settings name, unless another is asked for.

    Raises:
        KeyRefused: There is no key, or it cannot be used.
        UnknownContribution: No installed plugin provides the key provider that is asked for.
        ConfigInvalid: None provides the one the settings name, or its configuration is not usable.
    """
    try:
        spec = lookup(registry.key_providers, provider or settings.key_provider)
    except UnknownContribution as error:
        if provider:
            raise
        raise ConfigInvalid(f"AIOPS_KEY_PROVIDER: {error}") from None
    kit = KeyKit(_HttpPerRequest(settings))
    try:
        made = spec.factory(_config(settings, spec), kit)
    except KeyProviderRefused as error:
        raise KeyRefused(str(error)) from None
    return Vault(made, spec.name)


@asynccontextmanager
async def in_use(vault: Vault, database: Database, part: str) -> AsyncIterator[None]:
    """Keep the trail of what the vault decrypts while the block runs, then close the vault.

    Args:
        vault: Whose decryptions are noted.
        database: Where the trail is.
        part: The name of this process in it.
    """
    noted = Decryptions(part)
    vault.opened = lambda name: noted.note(
        Opened(name.tenant_id, name.owner_kind, name.owner_id, name.name, name.version)
    )
    try:
        async with noted.writing(database):
            yield
    finally:
        await vault.aclose()


def provider_values(settings: Settings) -> dict[str, Any]:
    """Return the fields of another key provider than the built-in one, as the settings have them.

    Raises:
        ConfigInvalid: They are no JSON object.
    """
    try:
        return msgspec.json.decode(settings.key_provider_config or b"{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ConfigInvalid(f"{PROVIDER_CONFIG} must be a JSON object of the provider's fields.") from None


def _config(settings: Settings, spec: KeyProviderSpec) -> PluginConfig:
    if spec.name == PROVIDER:
        return load_config(spec.config, {"path": settings.key_file})
    values = provider_values(settings)
    try:
        return load_config(spec.config, values)
    except ConfigInvalid as error:
        raise ConfigInvalid(f"{PROVIDER_CONFIG}: {error}") from None
