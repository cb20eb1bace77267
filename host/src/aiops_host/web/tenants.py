"""The life of a tenant: made, configured, suspended, exported, deleted."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED
from msgspec import Meta

from aiops_host.data import export, tenants
from aiops_host.data.tenants import TenantChange, TenantDetail, TenantRecord
from aiops_host.trust import tenancy
from aiops_host.trust.tenancy import BegunDeletion
from aiops_host.web.access import InTenant, asks
from aiops_host.web.audit import actor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented

log = logging.getLogger(__name__)

ERRORS = (400, 401, 403, 404, 503)
AnyRequest = Request[Any, Any, Any]


class NewTenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant to make; without a name it is called by its slug."""

    slug: Annotated[str, Meta(max_length=63, description="2 to 63 of a-z, 0-9 and -")]
    name: Annotated[str, Meta(max_length=200)] = ""


@post(
    "/tenants",
    opt=asks("tenants.manage"),
    status_code=HTTP_201_CREATED,
    responses=documented(400, 401, 403, 422, 503),
    summary="Create a tenant",
    tags=["tenants"],
)
async def create_tenant(data: JSONBody[NewTenant], request: AnyRequest, parts: WithParts) -> TenantRecord:
    """Make a tenant."""
    return await tenancy.create_tenant(parts.database, actor_of(request), data.slug, data.name or data.slug)


@get("/tenant", opt=asks("tenant.read"), responses=documented(*ERRORS), summary="Show a tenant", tags=["tenants"])
async def show_tenant(parts: WithParts, chosen: InTenant) -> TenantDetail:
    """Return the tenant with its settings."""
    return await tenants.get(parts.database, chosen.tenant_id)


@patch(
    "/tenant",
    opt=asks("tenant.configure"),
    responses=documented(*ERRORS, 422),
    summary="Change a tenant's name and settings",
    description="Fields left out stay.",
    tags=["tenants"],
)
async def change_tenant(
    data: JSONBody[TenantChange], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> TenantDetail:
    """Store the fields."""
    return await tenancy.change_tenant(parts.database, actor_of(request), chosen.tenant_id, data)


@post(
    "/tenant/suspend",
    opt=asks("tenant.suspend"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS, 409),
    summary="Suspend a tenant; its webhooks are stored and wait",
    tags=["tenants"],
)
async def suspend_tenant(request: AnyRequest, parts: WithParts, chosen: InTenant) -> TenantDetail:
    """Suspend the tenant: workers take up none of its work; what is being worked on ends by itself."""
    return await tenancy.set_tenant_state(parts.database, actor_of(request), chosen.tenant_id, "suspended")


@post(
    "/tenant/resume",
    opt=asks("tenant.suspend"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS, 409),
    summary="Let a suspended tenant go on",
    tags=["tenants"],
)
async def resume_tenant(request: AnyRequest, parts: WithParts, chosen: InTenant) -> TenantDetail:
    """Resume the tenant: what waited is worked on, oldest first."""
    return await tenancy.set_tenant_state(parts.database, actor_of(request), chosen.tenant_id, "active")


@get(
    "/tenant/export",
    opt=asks("tenant.export"),
    responses={
        200: ResponseSpec(
            data_container=bytes,
            description=(
                "A ZIP archive: JSON lines per table, and manifest.json as its last file. An export that breaks off ends "
                "with the connection, not with the last chunk; what arrived has no manifest and does not open."
            ),
            media_type="application/zip",
            generate_examples=False,
        ),
        **documented(*ERRORS),
    },
    summary="Export all rows of a tenant, without its secrets",
    tags=["tenants"],
)
async def export_tenant(request: AnyRequest, parts: WithParts, chosen: InTenant) -> Stream:
    """Stream the archive while it is made."""
    await tenancy.note_export(parts.database, actor_of(request), chosen.tenant_id)
    name = f"{chosen.slug}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"
    return Stream(
        _told(export.archive(parts.database, chosen.tenant_id)),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _told(archive: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the archive; when it breaks off, so does the connection, without the end of the answer."""
    try:
        async for part in archive:
            yield part
    except export.ExportBroken as error:
        log.error("an export broke off, and its connection with it: %s", error)
        raise


@delete(
    "/tenant",
    opt=asks("tenant.delete"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(*ERRORS, 409),
    summary="Delete a tenant; this cannot be undone",
    description=(
        "Its keys are destroyed before the answer, so no secret of it opens again, in no backup either. Its rows go "
        "afterwards, step by step, also when the host is stopped meanwhile. Its audit trail stays."
    ),
    tags=["tenants"],
)
async def delete_tenant(
    request: AnyRequest,
    parts: WithParts,
    chosen: InTenant,
    confirm: Annotated[str, QueryParameter(max_length=63, description="The tenant's slug once more")],
) -> BegunDeletion:
    """Begin the deletion and let it go on in the background."""
    try:
        return await tenancy.begin_deletion(parts.database, parts.vault, actor_of(request), chosen.tenant_id, confirm)
    finally:
        parts.departures.go_on()
