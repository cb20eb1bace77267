"""Deliveries: listed, shown and replayed."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from aiops_host.data import deliveries
from aiops_host.data.deliveries import (
    MAX_PAGE,
    DeliveryDetail,
    DeliveryPage,
    DeliveryState,
    DeliverySummary,
    Filters,
    ReplayOptions,
)
from aiops_host.trust.replays import replay
from aiops_host.web.access import InTenant, asks
from aiops_host.web.audit import actor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
PAGE = 50


@get(
    "/deliveries",
    opt=asks("deliveries.read"),
    responses=documented(*ERRORS),
    summary="List deliveries, newest first",
    tags=["deliveries"],
)
async def list_deliveries(  # noqa: PLR0913 - each is one query parameter
    *,
    parts: WithParts,
    chosen: InTenant,
    delivery_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
    ticket: Annotated[str | None, QueryParameter(max_length=255)] = None,
    connection: Annotated[str | None, QueryParameter(max_length=255, description="Name or id")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = PAGE,
    cursor: Annotated[str | None, QueryParameter(max_length=255, description="`next` of the page before")] = None,
) -> DeliveryPage:
    """Return a page of the tenant's deliveries."""
    filters = Filters(state=delivery_state, ticket=ticket, connection=connection)
    return await deliveries.list_(parts.database, chosen.tenant_id, filters, limit=limit, cursor=cursor)


@get(
    "/deliveries/{delivery_id:uuid}",
    opt=asks("deliveries.read"),
    responses=documented(*ERRORS),
    summary="Show a delivery with its attempts, runs and notes",
    tags=["deliveries"],
)
async def show_delivery(delivery_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> DeliveryDetail:
    """Return one delivery."""
    return await deliveries.show(parts.database, chosen.tenant_id, delivery_id)


@post(
    "/deliveries/{delivery_id:uuid}/replay",
    opt=asks("deliveries.replay"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(*ERRORS, 409),
    summary="Run a delivery once more",
    tags=["deliveries"],
)
async def replay_delivery(
    delivery_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    parts: WithParts,
    chosen: InTenant,
    data: JSONBody[ReplayOptions],
) -> DeliverySummary:
    """Queue the delivery and wake a worker."""
    summary = await replay(parts.database, actor_of(request), chosen.tenant_id, delivery_id, data)
    parts.wakes.announce(chosen.tenant_id, delivery_id)
    return summary
