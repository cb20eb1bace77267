"""Connections, their endpoints and secrets, and the settings of backends, tools and agents, as stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data import probes
from aiops_host.data.probes import ProbeView
from aiops_host.data.session import Connection, Database
from aiops_host.data.tables import Endpoint
from aiops_host.data.tables import PluginSetting as PluginSettingTable

ConnectionState = Literal["active", "paused"]
"""A third, ``deleted``, keeps a row for the history of its deliveries only: nobody finds the connection any more."""
SettingKind = Literal["llm-backend", "tool", "agent"]

PAUSED_BY_HAND = "Paused by an administrator."
"""The reason of a pause that only a person ends; any other is a refusal by the ticketing tool."""

PROBE = "connection"
"""The kind of probe that tests a connection; its target is the connection's id."""

_COLUMNS = "tenant_id, connection_id, name, ticketing_tool, config, config_version, agent, run_on, link_hosts, account_id, state"


class UnknownConnection(AiopsError):
    """There is no such connection."""


class ConnectionRefused(AiopsError):
    """The connection cannot be made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionRecord:
    """One tenant's configured ticketing tool, without its secrets. ``account_id`` is our own account there."""

    tenant_id: UUID
    connection_id: UUID
    name: str
    ticketing_tool: str
    config: Mapping[str, Any]
    config_version: int
    agent: str
    run_on: tuple[str, ...]
    link_hosts: tuple[str, ...]
    account_id: str | None
    state: ConnectionState


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedSecret:
    """The newest version of one secret."""

    owner_kind: str
    owner_id: str
    name: str
    version: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingRecord:
    """A tenant's configuration of a backend, tool or agent, without its secrets."""

    kind: SettingKind
    name: str
    position: int
    enabled: bool
    config: Mapping[str, Any]
    version: int


class ConnectionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as people see it; ``config`` holds no secret, ``credentials`` names those that are set.

    ``last_test`` is the newest test since the configuration or a credential was changed.
    """

    id: UUID
    name: str
    ticketing_tool: str
    config: dict[str, Any]
    credentials: list[str]
    agent: str
    run_on: list[str]
    link_hosts: list[str]
    account_id: str | None
    state: ConnectionState
    state_reason: str | None
    webhook_path: str | None
    created_at: datetime
    last_test: ProbeView | None


async def insert(con: Connection, record: ConnectionRecord, endpoint_id: str) -> None:
    """Store a connection with its endpoint, inside the caller's tenant session.

    Raises:
        ConnectionRefused: The tenant has a connection of that name.
    """
    try:
        await con.execute(
            f"insert into connection ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",  # noqa: S608 - constant
            record.tenant_id,
            record.connection_id,
            record.name,
            record.ticketing_tool,
            dict(record.config),
            record.config_version,
            record.agent,
            list(record.run_on),
            list(record.link_hosts),
            record.account_id,
            record.state,
        )
    except asyncpg.UniqueViolationError:
        raise ConnectionRefused(f"There is a connection {record.name!r} already; choose another name.") from None
    await con.execute(
        "insert into endpoint (tenant_id, endpoint_id, connection_id) values ($1, $2, $3)",
        record.tenant_id,
        endpoint_id,
        record.connection_id,
    )


async def get(con: Connection, connection_id: UUID) -> ConnectionRecord:
    """Return a connection, inside the caller's tenant session.

    Raises:
        UnknownConnection: The tenant has none of that id.
    """
    row = await con.fetchrow(
        f"select {_COLUMNS} from connection where connection_id = $1 and state <> 'deleted'",  # noqa: S608 - constant
        connection_id,
    )
    if row is None:
        raise UnknownConnection
    values = dict(row) | {"run_on": tuple(row["run_on"]), "link_hosts": tuple(row["link_hosts"])}
    return ConnectionRecord(**values)


async def list_(database: Database, tenant_id: UUID) -> list[ConnectionSummary]:
    """Return the tenant's connections by name."""
    async with database.tenant(tenant_id) as con:
        rows = await con.fetch(
            """
            select c.*, e.endpoint_id, array(
                       select distinct s.name from secret s
                       where s.owner_kind = 'connection' and s.owner_id = c.connection_id::text
                       order by s.name
                   ) as credentials
            from connection c
            left join lateral (
                select e.endpoint_id from endpoint e where e.connection_id = c.connection_id
                order by e.created_at desc limit 1
            ) e on true
            where c.state <> 'deleted'
            order by c.name
            """
        )
        tests = await probes.latest(con, PROBE)
    return [_summary(row, tests.get(str(row["connection_id"]))) for row in rows]


async def summary(database: Database, tenant_id: UUID, connection_id: UUID) -> ConnectionSummary:
    """Return one connection as people see it.

    Raises:
        UnknownConnection: The tenant has none of that id.
    """
    for found in await list_(database, tenant_id):
        if found.id == connection_id:
            return found
    raise UnknownConnection


async def set_state(
    database: Database, tenant_id: UUID, connection_id: UUID, state: ConnectionState, reason: str | None = None
) -> None:
    """Pause a connection or let it go on; a wait its ticketing tool asked for ends with a resume.

    Raises:
        UnknownConnection: The tenant has none of that id.
    """
    async with database.tenant(tenant_id) as con:
        changed = await con.fetchval(
            "update connection set state = $2, state_reason = $3, "
            "wait_until = case when $2 = 'active' then null else wait_until end "
            "where connection_id = $1 and state <> 'deleted' returning true",
            connection_id,
            state,
            reason,
        )
    if not changed:
        raise UnknownConnection


async def set_account(database: Database, tenant_id: UUID, connection_id: UUID, account_id: str) -> None:
    """Note which account the connection's own writes are made by."""
    async with database.tenant(tenant_id) as con:
        await con.execute("update connection set account_id = $2 where connection_id = $1", connection_id, account_id)


async def set_config(con: Connection, connection_id: UUID, config: Mapping[str, Any]) -> None:
    """Replace the open part of a connection's configuration, inside the caller's tenant session.

    What tests said of the one before is forgotten.
    """
    await con.execute("update connection set config = $2 where connection_id = $1", connection_id, dict(config))
    await count_change(con, connection_id)
    await probes.forget(con, PROBE, str(connection_id))


async def resume_mended(database: Database, tenant_id: UUID, connection_id: UUID) -> bool:
    """Let a connection go on unless a person paused it; return whether it was paused."""
    async with database.tenant(tenant_id) as con:
        changed = await con.fetchval(
            "update connection set state = 'active', state_reason = null, wait_until = null "
            "where connection_id = $1 and state = 'paused' and state_reason is distinct from $2 returning true",
            connection_id,
            PAUSED_BY_HAND,
        )
    return bool(changed)


async def count_change(con: Connection, connection_id: UUID) -> None:
    """Note that the connection's configuration or credentials changed, inside the caller's tenant session."""
    await con.execute(
        "update connection set config_version = config_version + 1 where connection_id = $1", connection_id
    )


async def endpoint_of(con: Connection, connection_id: UUID) -> str | None:
    """Return the id of the connection's newest endpoint, inside the caller's tenant session."""
    rows = (
        await Endpoint.select(Endpoint.endpoint_id)
        .where(Endpoint.connection_id == connection_id)
        .order_by(Endpoint.created_at, ascending=False)
        .limit(1)
    )
    return rows[0]["endpoint_id"] if rows else None


async def next_version(con: Connection, owner_kind: str, owner_id: str, name: str) -> int:
    """Return the version a new value of the secret gets, inside the caller's tenant session."""
    version: int = await con.fetchval(
        "select coalesce(max(version), 0) + 1 from secret where owner_kind = $1 and owner_id = $2 and name = $3",
        owner_kind,
        owner_id,
        name,
    )
    return version


async def put_secret(con: Connection, tenant_id: UUID, secret: SealedSecret) -> None:
    """Store a sealed secret, inside the caller's tenant session."""
    await con.execute(  # the table has columns that PostgreSQL reads from the seal
        "insert into secret (tenant_id, owner_kind, owner_id, name, version, sealed) values ($1, $2, $3, $4, $5, $6)",
        tenant_id,
        secret.owner_kind,
        secret.owner_id,
        secret.name,
        secret.version,
        secret.sealed,
    )


async def newest_secrets(con: Connection, owner_kind: str, owner_id: str) -> list[SealedSecret]:
    """Return the newest live version of each secret of an owner, inside the caller's tenant session."""
    rows = await con.fetch(
        "select distinct on (name) name, version, sealed from secret "
        "where owner_kind = $1 and owner_id = $2 and (expires_at is null or expires_at > now()) "
        "order by name, version desc",
        owner_kind,
        owner_id,
    )
    return [SealedSecret(owner_kind=owner_kind, owner_id=owner_id, **dict(row)) for row in rows]


async def delete_secrets(con: Connection, owner_kind: str, owner_id: str, names: Sequence[str]) -> None:
    """Delete every version of the named secrets."""
    await con.execute(
        "delete from secret where owner_kind = $1 and owner_id = $2 and name = any($3::text[])",
        owner_kind,
        owner_id,
        list(names),
    )


async def put_setting(con: Connection, tenant_id: UUID, setting: SettingRecord) -> None:
    """Store a backend's, tool's or agent's configuration, inside the caller's tenant session."""
    await con.execute(
        "insert into plugin_setting as p (tenant_id, kind, name, position, enabled, config, version) "
        "values ($1, $2, $3, $4, $5, $6, 1) on conflict (tenant_id, kind, name) do update "
        "set position = excluded.position, enabled = excluded.enabled, config = excluded.config, "
        "version = p.version + 1",
        tenant_id,
        setting.kind,
        setting.name,
        setting.position,
        setting.enabled,
        dict(setting.config),
    )


async def settings_of(con: Connection, kind: SettingKind) -> Sequence[SettingRecord]:
    """Return the tenant's settings of one kind in their order, inside the caller's tenant session."""
    rows = (
        await PluginSettingTable.select()
        .where(PluginSettingTable.kind == kind)
        .order_by(PluginSettingTable.position, PluginSettingTable.name)
    )
    return [SettingRecord(**{k: v for k, v in row.items() if k != "tenant_id"}) for row in rows]


def _summary(row: Mapping[str, Any], last_test: ProbeView | None) -> ConnectionSummary:
    endpoint = row["endpoint_id"]
    return ConnectionSummary(
        id=row["connection_id"],
        name=row["name"],
        ticketing_tool=row["ticketing_tool"],
        config=row["config"],
        credentials=list(row["credentials"]),
        agent=row["agent"],
        run_on=list(row["run_on"]),
        link_hosts=list(row["link_hosts"]),
        account_id=row["account_id"],
        state=row["state"],
        state_reason=row["state_reason"],
        webhook_path=f"/webhooks/{row['ticketing_tool']}/{endpoint}" if endpoint else None,
        created_at=row["created_at"],
        last_test=last_test,
    )
