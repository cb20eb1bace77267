"""The audit trail: of a tenant for its administrators, of the platform for its own."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import QueryParameter

from aiops_host.data import audit as stored
from aiops_host.data.audit import MAX_PAGE, PLATFORM, AuditFilters, AuditPage
from aiops_host.trust.audit import Actor
from aiops_host.web.access import InTenant, asks, visitor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented

PAGE = 50
Act = Annotated[
    str | None, QueryParameter(max_length=100, description="One act, or all of a kind with a dot: `connection.`")
]
Who = Annotated[str | None, QueryParameter(max_length=255, description="The actor's name or id")]
Subject = Annotated[str | None, QueryParameter(max_length=500, description="What it was done to")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, QueryParameter(max_length=255, description="`next` of the page before")]


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """Return who asked, for the audit trail: a person, or a token of theirs."""
    return visitor_of(request).actor


@get(
    "/audit",
    opt=asks("audit.read"),
    responses=documented(400, 401, 403, 404, 503),
    summary="The tenant's audit trail, newest first",
    tags=["audit"],
)
async def tenant_audit(  # noqa: PLR0913 - each is one query parameter
    *,
    parts: WithParts,
    chosen: InTenant,
    act: Act = None,
    actor: Who = None,
    subject: Subject = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> AuditPage:
    """Return a page of what was done in the tenant, and which secrets were decrypted."""
    filters = AuditFilters(act=act, actor=actor, subject=subject)
    return await stored.list_(parts.database, chosen.tenant_id, filters, limit=limit, cursor=cursor)


@get(
    "/installation/audit",
    opt=asks("installation.audit"),
    responses=documented(400, 401, 403, 503),
    summary="The platform's own audit trail, newest first",
    tags=["audit"],
)
async def platform_audit(
    *,
    parts: WithParts,
    act: Act = None,
    actor: Who = None,
    subject: Subject = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> AuditPage:
    """Return a page of what was done to the installation: people, logins, tenants, keys."""
    filters = AuditFilters(act=act, actor=actor, subject=subject)
    return await stored.list_(parts.database, PLATFORM, filters, limit=limit, cursor=cursor)
