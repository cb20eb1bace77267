"""Data keys as stored, wrapped, and which secrets are sealed under which; people's second factors count as secrets."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from aiops_core.keys import KeyContext, WrappedKey
from aiops_host.data import factors
from aiops_host.data.connections import SealedSecret
from aiops_host.data.session import Connection, Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Purpose = Literal["webhook", "credentials", "login"]
"""``login`` keys seal what people log in with; they belong to the installation."""

INSTALLATION = UUID(int=0)
"""In a tenant's place: the installation's own data keys, for secrets that belong to no tenant."""

LOCK_KEY = 0x61696F70736B6579

_COLUMNS = "tenant_id, purpose, version, provider, key_id, wrapped, state, installation_id() as installation_id"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredKey:
    """A wrapped data key. New secrets are sealed under the ``current`` one; a ``retiring`` one opens only."""

    installation_id: UUID
    tenant_id: UUID
    purpose: Purpose
    version: int
    provider: str
    key_id: str
    wrapped: bytes = field(repr=False)
    state: Literal["current", "retiring"] = "current"

    @property
    def context(self) -> KeyContext:
        """What the wrapping is bound to."""
        return KeyContext(
            installation=self.installation_id, tenant=self.tenant_id, purpose=self.purpose, version=self.version
        )

    @property
    def wrapping(self) -> WrappedKey:
        """What the provider unwraps."""
        return WrappedKey(self.key_id, self.wrapped)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyCount:
    """How many secrets are sealed under a data key."""

    key: StoredKey
    secrets: int


async def installation(con: Connection) -> UUID:
    """Return the installation's id, made with its tables."""
    found: UUID = await con.fetchval("select installation_id()")
    return found


async def current(con: Connection, purpose: Purpose) -> StoredKey | None:
    """Return the key new secrets are sealed under, inside the caller's tenant session; it stays until that ends."""
    row = await con.fetchrow(
        f"select {_COLUMNS} from data_key where purpose = $1 and state = 'current' for key share",  # noqa: S608 - constant
        purpose,
    )
    return StoredKey(**dict(row)) if row else None


async def get(con: Connection, purpose: Purpose, version: int) -> StoredKey | None:
    """Return one key, inside the caller's tenant session."""
    row = await con.fetchrow(
        f"select {_COLUMNS} from data_key where purpose = $1 and version = $2",  # noqa: S608 - constant
        purpose,
        version,
    )
    return StoredKey(**dict(row)) if row else None


async def all_(con: Connection) -> list[StoredKey]:
    """Return every key in the order of purpose and version, inside the caller's tenant session."""
    rows = await con.fetch(f"select {_COLUMNS} from data_key order by purpose, version")  # noqa: S608 - constant
    return [StoredKey(**dict(row)) for row in rows]


async def counts(con: Connection) -> list[KeyCount]:
    """Return every key with the number of secrets under it, inside the caller's tenant session."""
    rows = await con.fetch(
        "select purpose, key_version, count(*) as secrets from secret group by purpose, key_version "
        "union all select 'login', key_version, factors from factors_by_key()"
    )
    found = {(row["purpose"], row["key_version"]): row["secrets"] for row in rows}
    return [KeyCount(key=key, secrets=found.get((key.purpose, key.version), 0)) for key in await all_(con)]


async def wait_for_retiring(con: Connection) -> None:
    """Keep keys of the provider from being retired until the caller's transaction ends."""
    await con.execute("select pg_advisory_xact_lock_shared($1)", LOCK_KEY)


@asynccontextmanager
async def nobody_wrapping(database: Database) -> AsyncIterator[None]:
    """Wait until every data key that is being made is stored, and let none be made meanwhile."""
    async with database.role("app") as con:
        await con.execute("select pg_advisory_lock($1)", LOCK_KEY)
        try:
            yield
        finally:
            await con.execute("select pg_advisory_unlock($1)", LOCK_KEY)


async def add(con: Connection, key: StoredKey) -> None:
    """Store a key unless there is one of that version, inside the caller's tenant session."""
    await con.execute(
        "insert into data_key (tenant_id, purpose, version, provider, key_id, wrapped) "
        "values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        key.tenant_id,
        key.purpose,
        key.version,
        key.provider,
        key.key_id,
        key.wrapped,
    )


async def succeed(con: Connection, old: StoredKey, new: StoredKey) -> bool:
    """Let ``new`` take the place of ``old``; return whether ``old`` still had it."""
    changed = await con.fetchval(
        "update data_key set state = 'retiring' "
        "where purpose = $1 and version = $2 and state = 'current' returning true",
        old.purpose,
        old.version,
    )
    if changed:
        await add(con, new)
    return bool(changed)


async def rewrap(con: Connection, key: StoredKey, provider: str, wrapped: WrappedKey) -> bool:
    """Replace a key's wrapping; return whether it was still the one given."""
    changed = await con.fetchval(
        "update data_key set provider = $3, key_id = $4, wrapped = $5 "
        "where purpose = $1 and version = $2 and wrapped = $6 returning true",
        key.purpose,
        key.version,
        provider,
        wrapped.key_id,
        wrapped.data,
        key.wrapped,
    )
    return bool(changed)


async def under_retiring_keys(con: Connection) -> Sequence[SealedSecret]:
    """Return secrets that are to be sealed anew, inside the caller's tenant session."""
    rows = await con.fetch(
        "select s.owner_kind, s.owner_id, s.name, s.version, s.sealed from secret s "
        "join data_key k on k.tenant_id = s.tenant_id and k.purpose = s.purpose and k.version = s.key_version "
        "where k.state = 'retiring' "
        "union all select $1, f.user_id::text, $2, f.version, f.sealed from factors_to_reseal() f order by 1, 2, 3, 4",
        factors.OWNER_KIND,
        factors.NAME,
    )
    return [SealedSecret(**dict(row)) for row in rows]


async def reseal(con: Connection, secret: SealedSecret, sealed: bytes) -> bool:
    """Replace a secret's seal; return whether it was still the one given.

    What was made from the old one is made anew: its owner counts as changed.
    """
    if secret.owner_kind == factors.OWNER_KIND:
        return await factors.reseal(con, UUID(secret.owner_id), secret.sealed, sealed)
    changed = await con.fetchval(
        "update secret set sealed = $5 where owner_kind = $1 and owner_id = $2 and name = $3 and version = $4 "
        "and sealed = $6 returning true",
        secret.owner_kind,
        secret.owner_id,
        secret.name,
        secret.version,
        sealed,
        secret.sealed,
    )
    if changed and secret.owner_kind == "connection":
        await con.execute(
            "update connection set config_version = config_version + 1 where connection_id = $1::uuid", secret.owner_id
        )
    elif changed and secret.owner_kind != "endpoint":
        await con.execute(
            "update plugin_setting set version = version + 1 where kind = $1 and name = $2",
            secret.owner_kind,
            secret.owner_id,
        )
    return bool(changed)


async def drop_retired(con: Connection) -> int:
    """Delete the retiring keys that no secret is sealed under, inside the caller's tenant session.

    One that somebody seals with at this moment is left.
    """
    idle = await con.fetch("select purpose, version from data_key where state = 'retiring' for update skip locked")
    # A statement of its own: it sees what was sealed by those who let go of a key just now.
    rows = await con.fetch(
        "delete from data_key k using unnest($1::text[], $2::integer[]) as idle(purpose, version) "
        "where k.purpose = idle.purpose and k.version = idle.version and not exists ("
        "select 1 from secret s where s.tenant_id = k.tenant_id and s.purpose = k.purpose "
        "and s.key_version = k.version) and not exists ("
        "select 1 from factors_by_key() f where k.purpose = 'login' and f.key_version = k.version) returning k.version",
        [row["purpose"] for row in idle],
        [row["version"] for row in idle],
    )
    return len(rows)


async def destroy(con: Connection) -> None:
    """Delete every data key and every secret of the tenant, inside the caller's tenant session."""
    await con.execute("delete from secret")
    await con.execute("delete from data_key")
