"""Tenants: made, found and listed."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import asyncpg
import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data.session import Database
from aiops_host.data.tables import Tenant

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")


class TenantRefused(AiopsError):
    """The tenant cannot be made."""


class SlugInvalid(TenantRefused):
    """The tenant's slug or name is malformed."""


class UnknownTenant(AiopsError):
    """There is no such tenant."""


class TenantRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A customer organisation. Work of a ``suspended`` one is kept and waits."""

    id: UUID
    slug: str
    name: str
    state: Literal["active", "suspended"]
    created_at: datetime


async def create(database: Database, slug: str, name: str) -> TenantRecord:
    """Make a tenant.

    Raises:
        TenantRefused: The slug is malformed or taken, or the name is empty.
    """
    if not SLUG.fullmatch(slug):
        raise SlugInvalid(f"The slug {slug!r} must be 2 to 63 of a-z, 0-9 and -, and start with a letter or digit.")
    if not name.strip():
        raise SlugInvalid("The tenant needs a name.")
    tenant_id = uuid4()
    try:
        async with database.tenant(tenant_id) as con:
            row = await con.fetchrow(
                "insert into tenant (tenant_id, slug, name) values ($1, $2, $3) returning state, created_at",
                tenant_id,
                slug,
                name.strip(),
            )
    except asyncpg.UniqueViolationError:
        raise TenantRefused(f"There is a tenant {slug!r} already; choose another slug.") from None
    return TenantRecord(id=tenant_id, slug=slug, name=name.strip(), state=row["state"], created_at=row["created_at"])


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
    """
    async with database.tenant(tenant_id):
        changed = await Tenant.update({Tenant.state: state}).where(Tenant.tenant_id == tenant_id).returning(Tenant.slug)
    if not changed:
        raise UnknownTenant
