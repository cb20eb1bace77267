"""Ticketing tools and settings with handles on their secrets; what one process may open, and what it may not."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, NoReturn, cast, get_args
from uuid import UUID, uuid4

import msgspec

from aiops_core.config import PluginConfig, Secret, is_secret_path, load_config, split_secrets
from aiops_core.errors import AiopsError, ConfigInvalid
from aiops_core.registry import Registry, lookup
from aiops_core.services import Clock, HttpClient, Log
from aiops_core.specs import TicketingToolSpec
from aiops_core.ticketing import TicketingToolPlugin
from aiops_core.tickets import TicketKind
from aiops_host.data import connections as stored
from aiops_host.data import providers
from aiops_host.data.connections import (
    ConnectionRecord,
    SealedSecret,
    SettingKind,
    SettingRecord,
)
from aiops_host.data.intake import EndpointRow
from aiops_host.data.session import Database
from aiops_host.trust.audit import Actor, operator
from aiops_host.trust.audit import record as record_act
from aiops_host.trust.catalogue import check_addresses
from aiops_host.trust.handles import SecretOutOfReach, SecretReader, out_of_reach, seal_all
from aiops_host.trust.vault import Vault

__all__ = [
    "ConnectionRecord",
    "CreatedConnection",
    "LoadedSetting",
    "NewConnection",
    "NewSetting",
    "SecretOutOfReach",
    "SecretReader",
    "SystemClock",
    "TicketingKit",
    "create_connection",
    "load_connection",
    "load_settings",
    "make_for_intake",
    "make_for_worker",
    "put_connection_secret",
    "set_plugin_setting",
]

WEBHOOK = "webhook"
SECRET_BYTES = 32
HOST = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
SECRET_PLACEHOLDER = "{secret}"  # noqa: S105 - the mark a value is put in place of


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


@dataclass(slots=True)
class TicketingKit:
    """What a ticketing tool's factory is handed; core's ``TicketingServices``."""

    http: HttpClient
    clock: Clock
    log: Log
    webhook_secrets: Sequence[Secret] = ()


@dataclass(frozen=True, slots=True)
class LoadedConnection:
    """A connection with its sealed credentials."""

    record: ConnectionRecord
    credentials: tuple[SealedSecret, ...] = field(repr=False)


class NewConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant's administrator enters. ``config`` has the ticketing tool's fields, secrets in plain text."""

    name: str
    ticketing_tool: str
    config: dict[str, Any] = {}
    run_on: tuple[TicketKind, ...] = ("opened",)
    link_hosts: tuple[str, ...] = ()
    agent: str = "enhance"

    def __repr__(self) -> str:
        return f"NewConnection(name={self.name!r}, ticketing_tool={self.ticketing_tool!r})"


class CreatedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A new connection. ``webhook_secret`` is shown this once; ``headers`` are what the sender must add."""

    connection_id: UUID
    endpoint_id: str
    webhook_url: str
    webhook_secret: str
    headers: dict[str, str]
    setup_help: str

    def at(self, public_url: str) -> CreatedConnection:
        """Return the same with the webhook's whole address."""
        return msgspec.structs.replace(self, webhook_url=public_url + self.webhook_url)

    def __repr__(self) -> str:
        return f"CreatedConnection(connection_id={self.connection_id!r})"


class NewSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backend's, tool's or agent's values for one tenant, secrets in plain text."""

    kind: SettingKind
    name: str
    config: dict[str, Any] = {}
    position: int = 0
    enabled: bool = True

    def __repr__(self) -> str:
        return f"NewSetting(kind={self.kind!r}, name={self.name!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedSetting:
    """A validated configuration with handles on its secrets. ``version`` changes with every change."""

    name: str
    position: int
    version: int
    config: PluginConfig


async def create_connection(
    database: Database,
    vault: Vault,
    registry: Registry,
    tenant_id: UUID,
    new: NewConnection,
    *,
    actor: Actor | None = None,
) -> CreatedConnection:
    """Validate and store a connection, its credentials sealed, with a fresh endpoint and webhook secret.

    Without an ``actor`` the trail names whoever runs this process.

    Raises:
        UnknownContribution: No installed plugin provides the ticketing tool.
        ConfigInvalid: A value is missing, unknown or of the wrong kind.
        ConnectionRefused: The tenant has a connection of that name.
    """
    spec = lookup(registry.ticketing_tools, new.ticketing_tool)
    _check(new, registry)
    config = load_config(spec.config, new.config)
    plain, credentials = split_secrets(spec.config, new.config)
    record = _new_record(tenant_id, new, plain)
    endpoint_id, webhook_secret = secrets.token_hex(16), secrets.token_urlsafe(SECRET_BYTES)
    async with database.tenant(tenant_id) as con:
        await stored.insert(con, record, endpoint_id)
        await seal_all(con, vault, tenant_id, ("connection", str(record.connection_id)), credentials)
        await seal_all(con, vault, tenant_id, ("endpoint", endpoint_id), {WEBHOOK: webhook_secret})
        await record_act(
            con,
            tenant_id=tenant_id,
            actor=actor or operator(),
            act="connection.create",
            subject=str(record.connection_id),
            details={"name": record.name, "ticketing_tool": record.ticketing_tool},
        )
    return CreatedConnection(
        connection_id=record.connection_id,
        endpoint_id=endpoint_id,
        webhook_url=f"/webhooks/{new.ticketing_tool}/{endpoint_id}",
        webhook_secret=webhook_secret,
        headers=sender_headers(spec, config, webhook_secret),
        setup_help=spec.setup_help,
    )


async def put_connection_secret(
    database: Database, vault: Vault, record: ConnectionRecord, name: str, value: str
) -> None:
    """Replace one credential of a connection; what was made from the old one is no longer used.

    Raises:
        UnknownConnection: The tenant has no such connection.
    """
    async with database.tenant(record.tenant_id) as con:
        await stored.get(con, record.connection_id)
        await seal_all(con, vault, record.tenant_id, ("connection", str(record.connection_id)), {name: value})
        await stored.count_change(con, record.connection_id)


async def load_connection(
    database: Database, reader: SecretReader, tenant_id: UUID, connection_id: UUID
) -> LoadedConnection:
    """Return a connection with its sealed credentials, and have the keys at hand that open them.

    Raises:
        UnknownConnection: The tenant has no such connection.
        KeyProviderUnavailable: The key provider does not answer.
    """
    async with database.tenant(tenant_id) as con:
        record = await stored.get(con, connection_id)
        sealed = await stored.newest_secrets(con, "connection", str(connection_id))
    await reader.prepare(database, tenant_id, [s.sealed for s in sealed])
    return LoadedConnection(record, tuple(sealed))


def make_for_worker(
    registry: Registry, loaded: LoadedConnection, reader: SecretReader, http: HttpClient
) -> TicketingToolPlugin:
    """Make the ticketing tool of a connection for reading and writing tickets.

    Raises:
        UnknownContribution: No installed plugin provides the ticketing tool.
        ConfigInvalid: The stored configuration does not fit the installed plugin.
    """
    record = loaded.record
    spec = lookup(registry.ticketing_tools, record.ticketing_tool)
    handles = {s.name: reader.handle(record.tenant_id, s) for s in loaded.credentials}
    config = load_config(spec.config, record.config, declared(spec.config, handles))
    unreadable = (out_of_reach("endpoint", WEBHOOK),)
    return spec.factory(config, TicketingKit(http, SystemClock(), _log(record.ticketing_tool), unreadable))


def make_for_intake(registry: Registry, row: EndpointRow, reader: SecretReader) -> TicketingToolPlugin:
    """Make the ticketing tool of an endpoint for verifying and reading webhooks; it can call nobody.

    Raises:
        UnknownContribution: No installed plugin provides the ticketing tool.
        ConfigInvalid: The stored configuration does not fit the installed plugin.
    """
    spec = lookup(registry.ticketing_tools, row.ticketing_tool)
    credentials = {name: out_of_reach("connection", name) for name in row.credential_names}
    config = load_config(spec.config, row.config, declared(spec.config, credentials))
    kit = TicketingKit(_NoHttp(), SystemClock(), _log(row.ticketing_tool), webhook_secrets(row, reader))
    return spec.factory(config, kit)


def webhook_secrets(row: EndpointRow, reader: SecretReader) -> tuple[Secret, ...]:
    """Return handles on the endpoint's live webhook secrets, newest first."""
    return tuple(
        reader.handle(
            row.tenant_id,
            SealedSecret(owner_kind="endpoint", owner_id=row.endpoint_id, name=WEBHOOK, version=version, sealed=sealed),
        )
        for version, sealed in row.sealed_secrets
    )


async def set_plugin_setting(
    database: Database, vault: Vault, registry: Registry, tenant_id: UUID, new: NewSetting
) -> None:
    """Validate and store a backend's, tool's or agent's values, its secrets sealed.

    A secret left out stays, but not one inside a list: its place there may belong to something else by now.

    Raises:
        UnknownContribution: No installed plugin provides it.
        ConfigInvalid: A value is missing, unknown or of the wrong kind, another backend has the position, or an address
            is not in the operator's catalogue.
    """
    config_type = _config_type(registry, new.kind, new.name)
    plain, fresh = split_secrets(config_type, new.config)
    async with database.tenant(tenant_id) as con:
        if new.kind == "llm-backend":
            _check_position(new, await stored.settings_of(con, new.kind))
        stale = [s.name for s in await stored.newest_secrets(con, new.kind, new.name) if "." in s.name]
        await stored.delete_secrets(con, new.kind, new.name, stale)
        kept = {s.name: out_of_reach(new.kind, s.name) for s in await stored.newest_secrets(con, new.kind, new.name)}
        handles = {**kept, **{k: Secret.of(v) for k, v in fresh.items()}}
        config = load_config(config_type, plain, declared(config_type, handles))
        if new.kind == "llm-backend":
            addresses = lookup(registry.llm_backends, new.name).addresses(config)
            check_addresses(await providers.catalogue_in(con), addresses)
        setting = SettingRecord(
            kind=new.kind, name=new.name, position=new.position, enabled=new.enabled, config=plain, version=1
        )
        await stored.put_setting(con, tenant_id, setting)
        await seal_all(con, vault, tenant_id, (new.kind, new.name), fresh)
        facts = {"position": str(new.position), "used": str(new.enabled).lower(), "credentials": ", ".join(fresh)}
        subject = f"{new.kind}:{new.name}"
        await record_act(
            con, tenant_id=tenant_id, actor=operator(), act="setting.change", subject=subject, details=facts
        )


async def load_settings(
    database: Database, reader: SecretReader, registry: Registry, tenant_id: UUID, kind: SettingKind
) -> list[LoadedSetting]:
    """Return the tenant's enabled settings of one kind in their order; one whose plugin is gone is left out.

    Raises:
        ConfigInvalid: A stored configuration does not fit the installed plugin.
        KeyProviderUnavailable: The key provider does not answer.
    """
    async with database.tenant(tenant_id) as con:
        records = [r for r in await stored.settings_of(con, kind) if r.enabled and r.name in _specs(registry, kind)]
        sealed = {r.name: await stored.newest_secrets(con, kind, r.name) for r in records}
    await reader.prepare(database, tenant_id, [s.sealed for own in sealed.values() for s in own])
    loaded = []
    for record in records:
        config_type = _config_type(registry, kind, record.name)
        handles = {s.name: reader.handle(tenant_id, s) for s in sealed[record.name]}
        config = load_config(config_type, record.config, declared(config_type, handles))
        loaded.append(LoadedSetting(name=record.name, position=record.position, version=record.version, config=config))
    return loaded


class _NoHttp:
    """The HTTP client of the intake: there is none, because a webhook is judged without asking anybody."""

    async def request(self, method: str, url: str, **_: object) -> NoReturn:
        raise AiopsError("A webhook is verified and read without calling anybody; fetch the ticket in get_ticket.")


def _check(new: NewConnection, registry: Registry) -> None:
    if not new.name.strip():
        raise ConfigInvalid("name: the connection needs one.")
    if new.agent not in registry.agents:
        raise ConfigInvalid(f"agent: {new.agent!r} is none of {', '.join(sorted(registry.agents)) or 'none'}.")
    kinds = get_args(TicketKind)
    if unknown := [kind for kind in new.run_on if kind not in kinds]:
        raise ConfigInvalid(f"run_on: {unknown[0]!r} is none of {', '.join(kinds)}.")
    if wrong := [host for host in new.link_hosts if not HOST.fullmatch(host)]:
        raise ConfigInvalid(f"link_hosts: {wrong[0]!r} is no host's name such as wiki.example.com.")


def _check_position(new: NewSetting, there: Sequence[SettingRecord]) -> None:
    """Refuse a place in the order that another backend has: nobody could tell which of the two is asked first."""
    taken = {record.position: record.name for record in there if record.name != new.name}
    if new.position in taken:
        free = next(position for position in count() if position not in taken)
        raise ConfigInvalid(
            f"position {new.position} is taken by {taken[new.position]}; lower is asked first, and {free} is free."
        )


def _new_record(tenant_id: UUID, new: NewConnection, plain: Mapping[str, Any]) -> ConnectionRecord:
    return ConnectionRecord(
        tenant_id=tenant_id,
        connection_id=uuid4(),
        name=new.name.strip(),
        ticketing_tool=new.ticketing_tool,
        config=plain,
        config_version=1,
        agent=new.agent,
        run_on=tuple(dict.fromkeys(new.run_on)),
        link_hosts=tuple(dict.fromkeys(host.lower() for host in new.link_hosts)),
        account_id=None,
        state="active",
    )


def declared(config_type: type[PluginConfig], handles: Mapping[str, Secret]) -> dict[str, Secret]:
    """Drop secrets of fields the installed plugin no longer has."""
    return {path: handle for path, handle in handles.items() if is_secret_path(config_type, path)}


def sender_headers(spec: TicketingToolSpec, config: PluginConfig, webhook_secret: str) -> dict[str, str]:
    return {k: v.replace(SECRET_PLACEHOLDER, webhook_secret) for k, v in spec.sender_headers(config).items()}


def _specs(registry: Registry, kind: SettingKind) -> Mapping[str, Any]:
    return {"llm-backend": registry.llm_backends, "tool": registry.tools, "agent": registry.agents}[kind]


def _config_type(registry: Registry, kind: SettingKind, name: str) -> type[PluginConfig]:
    config_type: type[PluginConfig] = lookup(cast("Any", _specs(registry, kind)), name).config
    return config_type


def _log(name: str) -> Log:
    return logging.getLogger(f"aiops.plugin.{name}")
