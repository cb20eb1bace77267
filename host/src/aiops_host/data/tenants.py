"""Tenants: made, configured, suspended, found and listed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

import asyncpg
import msgspec
from msgspec import Meta

from aiops_core.errors import AiopsError
from aiops_host.data.session import Database

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
TenantState = Literal["active", "suspended", "deleting"]
SUSPENDED = "The tenant is suspended: webhooks are stored and wait, nothing is worked on until it is resumed."


class TenantRefused(AiopsError):
    """The tenant cannot be made."""


class SlugInvalid(TenantRefused):
    """The tenant's slug or name is malformed."""


class UnknownTenant(AiopsError):
    """There is no such tenant."""


class TenantDeleting(AiopsError):
    """The tenant is being deleted; that cannot be undone, because its keys are gone."""


class TenantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A customer organisation. Work of a ``suspended`` one is kept and waits; ``deleting`` ends with it gone."""

    id: UUID
    slug: str
    name: str
    state: TenantState
    created_at: datetime


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is set per tenant.

    ``contact`` is whom to ask about it. ``overlap_hours`` is how long the webhook secret before stays valid after a
    rotation that says nothing else.
    """

    contact: Annotated[str, Meta(max_length=254)] = ""
    overlap_hours: Annotated[float, Meta(ge=0, le=168)] = 24.0


class TenantDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant with its settings; ``note`` says in words what its state means, where it means anything."""

    id: UUID
    slug: str
    name: str
    state: TenantState
    state_since: datetime
    created_at: datetime
    settings: TenantSettings
    note: str | None


class TenantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; fields left out stay."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    contact: Annotated[str, Meta(max_length=254)] | msgspec.UnsetType = msgspec.UNSET
    overlap_hours: Annotated[float, Meta(ge=0, le=168)] | msgspec.UnsetType = msgspec.UNSET


async def create(database: Database, slug: str, name: str, tenant_id: UUID | None = None) -> TenantRecord:
    """Make a tenant; ``tenant_id`` is given where the caller's session is that of the new tenant already.

    Raises:
        TenantRefused: The slug is malformed or taken, or the name is empty.
    """
    if not SLUG.fullmatch(slug):
        raise SlugInvalid(f"The slug {slug!r} must be 2 to 63 of a-z, 0-9 and -, and start with a letter or digit.")
    tenant_id = tenant_id or uuid4()
    try:
        async with database.tenant(tenant_id) as con:
            row = await con.fetchrow(
                "insert into tenant (tenant_id, slug, name) values ($1, $2, $3) returning name, state, created_at",
                tenant_id,
                slug,
                _name(name),
            )
    except asyncpg.UniqueViolationError:
        raise TenantRefused(f"There is a tenant {slug!r} already; choose another slug.") from None
    return TenantRecord(id=tenant_id, slug=slug, **dict(row))


async def get(database: Database, tenant_id: UUID) -> TenantDetail:
    """Return one tenant with its settings.

    Raises:
        UnknownTenant: There is no tenant of that id.
    """
    async with database.tenant(tenant_id) as con:
        row = await con.fetchrow(
            "select slug, name, state, state_since, created_at, settings from tenant where tenant_id = $1", tenant_id
        )
    if row is None:
        raise UnknownTenant
    settings = msgspec.convert(row["settings"], TenantSettings)
    return TenantDetail(id=tenant_id, **{**dict(row), "settings": settings}, note=_note(row["state"]))


async def change(database: Database, tenant_id: UUID, wanted: TenantChange) -> TenantDetail:
    """Change a tenant's name and settings.

    Raises:
        UnknownTenant: There is no tenant of that id.
        SlugInvalid: The name is empty.
    """
    asked = {k: v for k, v in msgspec.structs.asdict(wanted).items() if v is not msgspec.UNSET}
    async with database.tenant(tenant_id) as con:
        before = await get(database, tenant_id)
        await con.execute(
            "update tenant set name = $2, settings = $3 where tenant_id = $1",
            tenant_id,
            _name(asked.pop("name", before.name)),
            msgspec.to_builtins(msgspec.structs.replace(before.settings, **asked)),
        )
        return await get(database, tenant_id)


async def directory(database: Database) -> list[TenantRecord]:
    """Return every tenant by slug; for people who run the installation."""
    async with database.role("app") as con:
        rows = await con.fetch("select * from tenant_directory()")
    return [
        TenantRecord(id=r["tenant_id"], slug=r["slug"], name=r["name"], state=r["state"], created_at=r["created_at"])
        for r in rows
    ]


async def by_slug(database: Database, slug: str) -> TenantRecord:
    """Return the tenant called ``slug``.

    Raises:
        UnknownTenant: There is none; the message does not name the others.
    """
    for tenant in await directory(database):
        if tenant.slug == slug:
            return tenant
    raise UnknownTenant(f"There is no tenant {slug!r}; `aiops tenants list` shows them.")


async def set_state(database: Database, tenant_id: UUID, state: Literal["active", "suspended"]) -> None:
    """Suspend a tenant or let it go on.

    Raises:
        UnknownTenant: There is no tenant of that id.
        TenantDeleting: It is being deleted.
    """
    async with database.tenant(tenant_id) as con:
        before = await con.fetchval("select state from tenant where tenant_id = $1 for update", tenant_id)
        if before is None:
            raise UnknownTenant
        if before == "deleting":
            raise TenantDeleting
        if before != state:
            await con.execute(
                "update tenant set state = $2, state_since = clock_timestamp() where tenant_id = $1", tenant_id, state
            )


def _name(name: str) -> str:
    if not name.strip():
        raise SlugInvalid("The tenant needs a name.")
    return name.strip()


def _note(state: TenantState) -> str | None:
    if state == "deleting":
        return "The tenant is being deleted: its keys are destroyed, its rows go step by step."
    return SUSPENDED if state == "suspended" else None
