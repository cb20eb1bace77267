"""The operator's catalogue of model providers, and each tenant's keys for them, as stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import msgspec

from aiops_core.errors import AiopsError
from aiops_core.llm import ModelPrice, ModelProtocol
from aiops_host.data import tenants
from aiops_host.data.session import Connection, Database

KeyOrigin = Literal["tenant", "operator"]
KeyState = Literal["trying", "live", "refused", "unreached"]

SECRET_OWNER = "llm-backend"  # noqa: S105 - the kind of a secret's owner
SECRET_NAME = "api_key"  # noqa: S105 - a secret's name


class UnknownProvider(AiopsError):
    """There is no such provider in the operator's catalogue."""


class UnknownKey(AiopsError):
    """The tenant has no key for this provider."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """Where models are and how they are spoken to. A ``*`` in the address stands for one label of the host's name.

    ``prices`` are the operator's by model, in USD per million tokens; others come from the backend's own list.
    """

    name: str
    title: str
    protocol: ModelProtocol
    address: str
    api_version: str | None = None
    position: int = 100
    prices: dict[str, ModelPrice] = {}

    @property
    def needs_endpoint(self) -> bool:
        """Whether a key says at which of several addresses it is good."""
        return "*" in self.address


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRecord:
    """A tenant's key for one provider, without its plaintext. ``models`` are asked in their order."""

    key_id: UUID
    provider: str
    models: tuple[str, ...]
    endpoint: str | None
    position: int
    origin: KeyOrigin
    state: KeyState
    created_at: datetime


_KEY = "key_id, provider, models, endpoint, position, origin, state, created_at"


async def catalogue(database: Database) -> list[Provider]:
    """Return every provider of the operator's catalogue in its order."""
    async with database.role("app") as con:
        return await catalogue_in(con)


async def catalogue_in(con: Connection) -> list[Provider]:
    """Return the same over a connection of the application's role."""
    rows = await con.fetch("select * from provider_directory()")
    return [msgspec.convert(dict(row), Provider) for row in rows]


async def provider(database: Database, name: str) -> Provider:
    """Return one provider of the catalogue.

    Raises:
        UnknownProvider: There is none of that name; the message lists those there are.
    """
    listed = await catalogue(database)
    for found in listed:
        if found.name == name:
            return found
    known = ", ".join(p.name for p in listed) or "none"
    raise UnknownProvider(f"There is no provider {name!r} in the operator's catalogue; there are: {known}.")


async def put_provider(con: Connection, entry: Provider) -> None:
    """Put a provider into the catalogue, in place of one of the same name."""
    await con.execute(
        "select provider_put($1, $2, $3, $4, $5, $6, $7)",
        entry.name,
        entry.title,
        entry.protocol,
        entry.address,
        entry.api_version,
        entry.position,
        msgspec.to_builtins(entry.prices),
    )


async def remove_provider(con: Connection, name: str) -> bool:
    """Take a provider out of the catalogue; keys for it are kept and not used. False when it was not there."""
    return bool(await con.fetchval("select provider_remove($1)", name))


async def keys(con: Connection) -> list[KeyRecord]:
    """Return the tenant's keys, live ones in the order they are asked, inside the caller's tenant session."""
    rows = await con.fetch(f"select {_KEY} from llm_key order by position, provider, created_at")  # noqa: S608 - constant
    return [_record(row) for row in rows]


async def key(con: Connection, key_id: UUID) -> KeyRecord:
    """Return one key, inside the caller's tenant session.

    Raises:
        UnknownKey: It was replaced or taken away meanwhile.
    """
    row = await con.fetchrow(f"select {_KEY} from llm_key where key_id = $1", key_id)  # noqa: S608 - constant
    if row is None:
        raise UnknownKey
    return _record(row)


async def insert_key(con: Connection, tenant_id: UUID, record: KeyRecord) -> None:
    """Store a key's open part, inside the caller's tenant session; older ones that were only tried go."""
    await con.execute(
        "delete from llm_key where tenant_id = $1 and provider = $2 and state <> 'live'", tenant_id, record.provider
    )
    await con.execute(
        "insert into llm_key (tenant_id, key_id, provider, models, endpoint, position, origin, state) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant_id,
        record.key_id,
        record.provider,
        list(record.models),
        record.endpoint,
        record.position,
        record.origin,
        record.state,
    )
    await _forget_orphans(con, tenant_id)


async def make_live(con: Connection, tenant_id: UUID, key_id: UUID) -> bool:
    """Let a key take its provider's place, inside the caller's tenant session; False when it is gone by now."""
    provider_name = await con.fetchval("select provider from llm_key where key_id = $1 for update", key_id)
    if provider_name is None:
        return False
    await con.execute(
        "delete from llm_key where tenant_id = $1 and provider = $2 and key_id <> $3", tenant_id, provider_name, key_id
    )
    await con.execute("update llm_key set state = 'live' where tenant_id = $1 and key_id = $2", tenant_id, key_id)
    await _forget_orphans(con, tenant_id)
    await count_change(con, tenant_id)
    return True


async def refuse(con: Connection, tenant_id: UUID, key_id: UUID, *, reached: bool) -> None:
    """Mark a key that did not work, or whose provider was not ``reached``, and destroy it; a live one stays as it is."""
    await con.execute(
        "update llm_key set state = $3 where tenant_id = $1 and key_id = $2 and state = 'trying'",
        tenant_id,
        key_id,
        "refused" if reached else "unreached",
    )
    await con.execute(
        "delete from secret s using llm_key k where s.tenant_id = $1 and s.owner_kind = $2 "
        "and k.tenant_id = s.tenant_id and k.key_id::text = s.owner_id and k.key_id = $3 and k.state in ('refused', 'unreached')",
        tenant_id,
        SECRET_OWNER,
        key_id,
    )


async def remove_key(con: Connection, tenant_id: UUID, provider_name: str, *, origin: KeyOrigin | None = None) -> bool:
    """Take away a provider's keys, inside the caller's tenant session; False when there was none of that origin."""
    gone = await con.fetch(
        "delete from llm_key where tenant_id = $1 and provider = $2 and ($3::text is null or origin = $3) "
        "returning key_id",
        tenant_id,
        provider_name,
        origin,
    )
    await _forget_orphans(con, tenant_id)
    await count_change(con, tenant_id)
    return bool(gone)


async def set_order(con: Connection, tenant_id: UUID, order: Sequence[str]) -> None:
    """Let providers be asked in this order, inside the caller's tenant session; others keep their place after them."""
    await con.execute(
        "update llm_key k set position = coalesce((select w.place from unnest($2::text[]) with ordinality "
        "as w(provider, place) where w.provider = k.provider), 1000 + k.position % 1000) where k.tenant_id = $1",
        tenant_id,
        list(order),
    )
    await count_change(con, tenant_id)


async def count_change(con: Connection, tenant_id: UUID) -> None:
    """Note that keys or budgets changed, so that workers make the tenant's backends anew; inside its session."""
    await con.execute(
        "insert into plugin_setting as p (tenant_id, kind, name) values ($1, 'llm-keys', 'keys') "
        "on conflict (tenant_id, kind, name) do update set version = p.version + 1",
        tenant_id,
    )


async def count_change_everywhere(database: Database) -> None:
    """Note in every tenant that the catalogue changed."""
    for tenant in await tenants.directory(database):
        async with database.tenant(tenant.id) as con:
            await count_change(con, tenant.id)


def new_key(
    provider_name: str,
    models: Sequence[str],
    *,
    endpoint: str | None,
    position: int,
    origin: KeyOrigin,
    state: KeyState,
) -> KeyRecord:
    """Return a key that is not stored yet."""
    return KeyRecord(
        key_id=uuid4(),
        provider=provider_name,
        models=tuple(models),
        endpoint=endpoint,
        position=position,
        origin=origin,
        state=state,
        created_at=datetime.min,
    )


def as_live(record: KeyRecord) -> KeyRecord:
    """Return the key as if it were in use, to be tried."""
    return replace(record, state="live")


async def _forget_orphans(con: Connection, tenant_id: UUID) -> None:
    """Destroy the secrets of keys that are gone."""
    await con.execute(
        "delete from secret s where s.tenant_id = $1 and s.owner_kind = $2 and s.name = $3 "
        "and s.owner_id ~ '^[0-9a-f]{8}-[0-9a-f-]{27}$' "
        "and not exists (select from llm_key k where k.tenant_id = s.tenant_id and k.key_id::text = s.owner_id)",
        tenant_id,
        SECRET_OWNER,
        SECRET_NAME,
    )


def _record(row: Mapping[str, object]) -> KeyRecord:
    values = dict(row)
    return msgspec.convert(values, KeyRecord)
