"""The life of a tenant: made, changed, suspended, resumed and deleted; each act with who did it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data import erasure, tenants
from aiops_host.data.erasure import Progress
from aiops_host.data.session import Database
from aiops_host.data.tenants import TenantChange, TenantDetail, TenantRecord
from aiops_host.trust.audit import Actor, part, record
from aiops_host.trust.keys.upkeep import Upkeep
from aiops_host.trust.vault import Vault


class BegunDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant on its way out. ``keys_left`` says what a person still has to do about its keys, empty if nothing."""

    tenant: TenantDetail
    keys_left: str


class DeletionRefused(AiopsError):
    """A tenant is deleted only by who types its slug: that cannot be undone."""


async def create_tenant(database: Database, actor: Actor, slug: str, name: str) -> TenantRecord:
    """Make a tenant.

    Raises:
        TenantRefused: The slug is malformed or taken, or the name is empty.
    """
    tenant_id = uuid4()
    async with database.tenant(tenant_id) as con:
        made = await tenants.create(database, slug, name, tenant_id)
        await record(con, tenant_id=None, actor=actor, act="tenant.create", subject=slug, details=_named(tenant_id))
    return made


async def change_tenant(database: Database, actor: Actor, tenant_id: UUID, wanted: TenantChange) -> TenantDetail:
    """Change a tenant's name and settings.

    Raises:
        UnknownTenant: There is no tenant of that id.
        SlugInvalid: The name is empty.
    """
    async with database.tenant(tenant_id) as con:
        changed = await tenants.change(database, tenant_id, wanted)
        facts = {"name": changed.name, "contact": changed.settings.contact}
        facts["overlap_hours"] = f"{changed.settings.overlap_hours:g}"
        await record(con, tenant_id=tenant_id, actor=actor, act="tenant.change", subject=changed.slug, details=facts)
    return changed


async def set_tenant_state(
    database: Database, actor: Actor, tenant_id: UUID, state: Literal["active", "suspended"]
) -> TenantDetail:
    """Suspend a tenant or let it go on; webhooks of a suspended one are stored and wait.

    Raises:
        UnknownTenant: There is no tenant of that id.
        TenantDeleting: It is being deleted.
    """
    act = "tenant.suspend" if state == "suspended" else "tenant.resume"
    async with database.tenant(tenant_id) as con:
        await tenants.set_state(database, tenant_id, state)
        changed = await tenants.get(database, tenant_id)
        await record(con, tenant_id=None, actor=actor, act=act, subject=changed.slug, details=_named(tenant_id))
    return changed


async def note_export(database: Database, actor: Actor, tenant_id: UUID) -> None:
    """Keep in the trail that somebody takes a copy of all the tenant's rows.

    Raises:
        UnknownTenant: There is no tenant of that id, or it is being deleted.
    """
    async with database.tenant(tenant_id) as con:
        tenant = await tenants.get(database, tenant_id)
        if tenant.state == "deleting":
            raise tenants.UnknownTenant(f"The tenant {tenant.slug} is being deleted.")
        await record(con, tenant_id=tenant_id, actor=actor, act="tenant.export", subject=tenant.slug)


async def begin_deletion(
    database: Database, vault: Vault, actor: Actor, tenant_id: UUID, confirmed: str
) -> BegunDeletion:
    """Close a tenant for good and destroy its keys: from here on nobody opens one of its secrets, in no backup either.

    Args:
        database: Where it is stored.
        vault: Knows its keys.
        actor: Who deletes it.
        tenant_id: Whose end it is.
        confirmed: The slug as the person typed it.

    Raises:
        UnknownTenant: There is no tenant of that id.
        DeletionRefused: What was typed is not the tenant's slug.
        KeyProviderUnavailable: The tenant is closed, and its keys are destroyed once the key provider answers.
    """
    async with database.tenant(tenant_id) as con:
        before = await tenants.get(database, tenant_id)
        if confirmed != before.slug:
            raise DeletionRefused(f"Type the slug {before.slug!r} to delete this tenant; it cannot be undone.")
        await erasure.begin(database, tenant_id)
        if before.state != "deleting":
            facts = _named(tenant_id)
            await record(con, tenant_id=None, actor=actor, act="tenant.delete", subject=before.slug, details=facts)
    shredded = await Upkeep(database, vault).shred(tenant_id)
    return BegunDeletion(tenant=await tenants.get(database, tenant_id), keys_left=shredded.left)


async def finish_deletion(
    database: Database, vault: Vault, tenant: TenantRecord, progress: Progress = lambda _table, _rows: None
) -> int:
    """Delete what is left of a tenant whose deletion was begun; return how many rows went. Harmless to repeat.

    Raises:
        KeyProviderUnavailable: Its keys are not destroyed yet, and its rows are all there; try again.
    """
    shredded = await Upkeep(database, vault).shred(tenant.id)
    removed = await erasure.remove_rows(database, tenant.id, progress)
    async with database.tenant(tenant.id) as con:
        if await erasure.remove_tenant(con, tenant.id):
            facts = {**_named(tenant.id), "rows": str(removed), "keys_left": shredded.left}
            actor = part("deletion")
            await record(con, tenant_id=None, actor=actor, act="tenant.deleted", subject=tenant.slug, details=facts)
    return removed


def _named(tenant_id: UUID) -> dict[str, str]:
    return {"tenant_id": str(tenant_id)}
