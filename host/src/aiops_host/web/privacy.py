"""What of people a tenant keeps from language models."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get, put
from litestar.params import JSONBody
from msgspec import Meta

from aiops_host.data import privacy as stored
from aiops_host.data.privacy import PersonalKind, Privacy
from aiops_host.trust.privacy import choose
from aiops_host.web.access import InTenant, asks
from aiops_host.web.audit import actor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented

Region = Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["DE"])]


class PrivacyChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Kinds of personal data to replace; ``regions`` are countries whose phone numbers come without a country's code."""

    kinds: Annotated[list[PersonalKind], Meta(max_length=5)] = []
    regions: Annotated[list[Region], Meta(max_length=10)] = []


@get(
    "/privacy",
    opt=asks("tenant.read"),
    responses=documented(400, 401, 403, 404, 503),
    summary="Which personal data is kept from language models",
    tags=["tenants"],
)
async def show_privacy(parts: WithParts, chosen: InTenant) -> Privacy:
    """Return the tenant's choice."""
    async with parts.database.tenant(chosen.tenant_id) as con:
        return await stored.read(con)


@put(
    "/privacy",
    opt=asks("tenant.configure"),
    responses=documented(400, 401, 403, 404, 422, 503),
    summary="Choose which personal data is kept from language models",
    description="Each value is replaced by a stand-in before a model sees it; the note has the values again.",
    tags=["tenants"],
)
async def choose_privacy(
    data: JSONBody[PrivacyChoice], request: Request[Any, Any, Any], parts: WithParts, chosen: InTenant
) -> Privacy:
    """Store the choice; runs that begin later obey it."""
    wanted = Privacy(kinds=tuple(dict.fromkeys(data.kinds)), regions=tuple(dict.fromkeys(data.regions)))
    return await choose(parts.database, actor_of(request), chosen.tenant_id, wanted)
