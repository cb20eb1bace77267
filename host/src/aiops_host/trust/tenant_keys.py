"""A tenant's keys for model providers: entered, tried by a worker, live only when they work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from aiops_core.config import Secret
from aiops_core.errors import ConfigInvalid
from aiops_core.llm import ModelRoute
from aiops_core.registry import Registry
from aiops_core.specs import LLMBackendSpec
from aiops_host.data import connections as stored
from aiops_host.data import probes, providers
from aiops_host.data.probes import ProbeView
from aiops_host.data.providers import SECRET_NAME, SECRET_OWNER, KeyOrigin, KeyRecord, Provider, UnknownKey
from aiops_host.data.session import Connection, Database
from aiops_host.trust import audit
from aiops_host.trust.audit import Actor
from aiops_host.trust.catalogue import AddressUnlisted, address_for, check_models
from aiops_host.trust.handles import SecretReader, out_of_reach, seal_all
from aiops_host.trust.vault import Vault

PROBE = "llm-key"
MAX_KEY = 4096

ProviderKeyState = Literal["none", "live", "trying", "refused", "unreached", "unlisted"]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant enters for a provider. ``models`` are asked in their order; ``endpoint`` where there are several."""

    key: str
    models: tuple[str, ...]
    endpoint: str | None = None

    def __repr__(self) -> str:
        return f"NewKey(models={self.models!r}, endpoint={self.endpoint!r})"


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """A provider of the catalogue and the tenant's key for it, never its plaintext.

    ``state`` is that of the key in use, else of the last one tried; ``test`` is the last test of either.
    """

    name: str
    title: str
    address: str
    needs_endpoint: bool
    position: int
    state: ProviderKeyState
    origin: KeyOrigin | None = None
    models: list[str] = []
    endpoint: str | None = None
    since: datetime | None = None
    test: ProbeView | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entering:
    """Who enters a key, and for whom."""

    tenant_id: UUID
    actor: Actor
    origin: KeyOrigin = "tenant"


async def enter_key(database: Database, vault: Vault, who: Entering, provider_name: str, new: NewKey) -> UUID:
    """Store a key sealed and ask for its test; it is used once the test went well, until then an older one is.

    Returns:
        The id of the test, a probe.

    Raises:
        UnknownProvider: The operator's catalogue has none of that name.
        ConfigInvalid: The key, a model or the endpoint cannot be used.
    """
    return (await _store(database, vault, who, provider_name, new, tried=True))[1]


async def enter_untried(database: Database, vault: Vault, who: Entering, provider_name: str, new: NewKey) -> UUID:
    """Store a key that is used at once, without a test; return the key's id. For the operator's scripts.

    Raises:
        UnknownProvider: The operator's catalogue has none of that name.
        ConfigInvalid: The key, a model or the endpoint cannot be used.
    """
    return (await _store(database, vault, who, provider_name, new, tried=False))[0]


async def test_key(database: Database, who: Entering, provider_name: str) -> UUID:
    """Ask for another test of the tenant's key for the provider; return the probe's id.

    Raises:
        UnknownKey: The tenant has none that could be tried.
    """
    async with database.tenant(who.tenant_id) as con:
        for record in await providers.keys(con):
            if record.provider == provider_name and record.state == "live":
                await _act(con, who, "key.test", provider_name)
                return await probes.ask(con, who.tenant_id, PROBE, str(record.key_id))
    raise UnknownKey(f"There is no key for {provider_name} in use; enter one first.")


async def drop_key(database: Database, who: Entering, provider_name: str) -> None:
    """Take a provider's key away and destroy it.

    Raises:
        UnknownKey: The tenant has none, or only one the operator granted and this is not the operator.
    """
    origin: KeyOrigin | None = None if who.origin == "operator" else "tenant"
    async with database.tenant(who.tenant_id) as con:
        if not await providers.remove_key(con, who.tenant_id, provider_name, origin=origin):
            raise UnknownKey(f"There is no key for {provider_name} that you could take away.")
        await _act(con, who, "key.remove", provider_name)


async def order_keys(database: Database, who: Entering, order: Sequence[str]) -> None:
    """Let providers be asked in this order.

    Raises:
        ConfigInvalid: One is named twice or is none.
    """
    known = {p.name for p in await providers.catalogue(database)}
    if len(set(order)) != len(order) or not set(order) <= known:
        raise ConfigInvalid(f"order: name each provider once, of: {', '.join(sorted(known))}.")
    async with database.tenant(who.tenant_id) as con:
        await providers.set_order(con, who.tenant_id, order)
        await _act(con, who, "key.order", ", ".join(order))


async def provider_views(database: Database, tenant_id: UUID) -> list[ProviderView]:
    """Return the catalogue with the tenant's keys, in the order providers are asked."""
    async with database.tenant(tenant_id) as con:
        listed = await providers.catalogue_in(con)
        keys = await providers.keys(con)
        tests = await probes.latest(con, PROBE)
    found = [_view(entry, [k for k in keys if k.provider == entry.name], tests) for entry in listed]
    lost = [k for k in keys if k.provider not in {p.name for p in listed}]
    return sorted([*found, *(_unlisted(key) for key in lost)], key=lambda v: (v.state == "none", v.position, v.name))


def routes(
    catalogue: Sequence[Provider], keys: Sequence[KeyRecord], handles: dict[UUID, Secret]
) -> tuple[list[ModelRoute], list[str]]:
    """Return the models to ask with the tenant's live keys, in their order, and in a sentence each what cannot be used."""
    listed = {entry.name: entry for entry in catalogue}
    made: list[ModelRoute] = []
    unusable: list[str] = []
    for key in keys:
        entry = listed.get(key.provider)
        if key.state != "live" or entry is None or key.key_id not in handles:
            if key.state == "live":
                unusable.append(f"{key.provider} is not in the operator's catalogue any more")
            continue
        try:
            address = address_for(entry, key.endpoint)
        except AddressUnlisted:
            unusable.append(f"the endpoint for {key.provider} is not in the operator's catalogue any more")
            continue
        made += [_route(entry, address, model, handles[key.key_id]) for model in key.models]
    return made, unusable


def keyed_backend(registry: Registry) -> LLMBackendSpec:
    """Return the backend that asks with tenants' keys.

    Raises:
        ConfigInvalid: No installed plugin has one.
    """
    for _, spec in sorted(registry.llm_backends.items()):
        if spec.routes is not None:
            return spec
    raise ConfigInvalid("No installed LLM backend takes tenants' keys; install aiops-agents.")


async def live_keys(
    database: Database, tenant_id: UUID, reader: SecretReader
) -> tuple[list[KeyRecord], dict[UUID, Secret]]:
    """Return the tenant's live keys with handles on them, which open in a worker only; outside of any session."""
    async with database.tenant(tenant_id) as con:
        live = [key for key in await providers.keys(con) if key.state == "live"]
    return live, {key.key_id: await handle(database, tenant_id, key.key_id, reader) for key in live}


async def handle(database: Database, tenant_id: UUID, key_id: UUID, reader: SecretReader) -> Secret:
    """Return a handle on a key, outside of any session; one that opens nothing if it was destroyed."""
    async with database.tenant(tenant_id) as con:
        found = await stored.newest_secrets(con, SECRET_OWNER, str(key_id))
    for sealed in found:
        if sealed.name == SECRET_NAME:
            await reader.prepare(database, tenant_id, [sealed.sealed])
            return reader.handle(tenant_id, sealed)
    return out_of_reach(SECRET_OWNER, SECRET_NAME)


async def _store(
    database: Database, vault: Vault, who: Entering, provider_name: str, new: NewKey, *, tried: bool
) -> tuple[UUID, UUID]:
    entry = await providers.provider(database, provider_name)
    address_for(entry, new.endpoint)
    check_models(entry, new.models)
    plaintext = new.key.strip()
    if not plaintext or len(plaintext) > MAX_KEY or not plaintext.isascii() or not plaintext.isprintable():
        raise ConfigInvalid("key: paste the key as the provider shows it, in one line.")
    async with database.tenant(who.tenant_id) as con:
        there = [key for key in await providers.keys(con) if key.provider == provider_name]
        if who.origin == "tenant" and any(key.origin == "operator" and key.state == "live" for key in there):
            raise ConfigInvalid(
                "The operator granted this tenant a key for this provider; ask them to take it back first."
            )
        record = providers.new_key(
            provider_name,
            new.models,
            endpoint=new.endpoint.rstrip("/") if new.endpoint else None,
            position=next((key.position for key in there), entry.position),
            origin=who.origin,
            state="trying",
        )
        await providers.insert_key(con, who.tenant_id, record)
        await seal_all(con, vault, who.tenant_id, (SECRET_OWNER, str(record.key_id)), {SECRET_NAME: plaintext})
        await _act(con, who, "key.grant" if who.origin == "operator" else "key.enter", provider_name)
        if tried:
            return record.key_id, await probes.ask(con, who.tenant_id, PROBE, str(record.key_id))
        await providers.make_live(con, who.tenant_id, record.key_id)
    return record.key_id, record.key_id


async def _act(con: Connection, who: Entering, act: str, subject: str) -> None:
    await audit.record(con, tenant_id=who.tenant_id, actor=who.actor, act=act, subject=subject)


def _route(entry: Provider, address: str, model: str, key: Secret) -> ModelRoute:
    return ModelRoute(
        provider=entry.name,
        protocol=entry.protocol,
        model=model,
        address=address,
        key=key,
        api_version=entry.api_version,
        price=entry.prices.get(model),
    )


def _view(entry: Provider, keys: Sequence[KeyRecord], tests: dict[str, ProbeView]) -> ProviderView:
    base = ProviderView(
        name=entry.name,
        title=entry.title,
        address=entry.address,
        needs_endpoint=entry.needs_endpoint,
        position=entry.position,
        state="none",
    )
    if not keys:
        return base
    newest = max(keys, key=lambda k: k.created_at)
    shown = next((k for k in keys if k.state == "live"), newest)
    return msgspec.structs.replace(
        base,
        position=shown.position,
        state=shown.state,
        origin=shown.origin,
        models=list(shown.models),
        endpoint=shown.endpoint,
        since=shown.created_at,
        test=tests.get(str(newest.key_id)),
    )


def _unlisted(key: KeyRecord) -> ProviderView:
    return ProviderView(
        name=key.provider,
        title=key.provider,
        address="",
        needs_endpoint=False,
        position=key.position,
        state="unlisted",
        origin=key.origin,
        models=list(key.models),
        endpoint=key.endpoint,
        since=key.created_at,
    )
