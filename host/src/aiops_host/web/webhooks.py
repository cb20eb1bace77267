"""Webhook addresses: who may post, with which secret, and why webhooks were refused."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import Meta

from aiops_host.data import endpoints
from aiops_host.data.endpoints import EndpointView
from aiops_host.trust import refusals
from aiops_host.trust.doors import RotatedSecret
from aiops_host.trust.refusals import Explanation
from aiops_host.web.access import InTenant, asks
from aiops_host.web.connections import AnyRequest, doorkeeper
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the secrets before stay valid; without it as long as the tenant's settings say."""

    overlap_hours: Annotated[float, Meta(ge=0, le=168)] | None = None


class Networks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The networks that may post, as CIDRs or single addresses; none: all."""

    networks: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=endpoints.MOST_NETWORKS)]


@get(
    "/connections/{connection_id:uuid}/endpoint",
    opt=asks("connections.read"),
    responses=documented(*ERRORS),
    summary="Show a connection's webhook address, its networks and its secrets without their values",
    tags=["connections"],
)
async def show_endpoint(connection_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> EndpointView:
    """Return the endpoint."""
    async with parts.database.tenant(chosen.tenant_id) as con:
        return whole(parts, await endpoints.show(con, connection_id))


@post(
    "/connections/{connection_id:uuid}/endpoint/secrets",
    opt=asks("connections.manage"),
    status_code=HTTP_201_CREATED,
    responses=documented(*ERRORS, 422),
    summary="Make a new webhook secret",
    description=(
        "The secret is in this answer and nowhere else afterwards. Two before it at most stay valid for the overlap, "
        "so that the sender can be changed in peace."
    ),
    tags=["connections"],
)
async def rotate_secret(
    data: JSONBody[Rotation], connection_id: FromPath[UUID], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> RotatedSecret:
    """Rotate the secret; this process knows the new one at once, others within a minute."""
    made = await doorkeeper(request, parts, chosen).rotate_secret(
        parts.vault, parts.registry, connection_id, data.overlap_hours
    )
    parts.receiver.forget(made.endpoint_id)
    return made.at(parts.settings.public_url)


@delete(
    "/connections/{connection_id:uuid}/endpoint/secrets",
    opt=asks("connections.manage"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS),
    summary="Refuse every webhook secret but the newest from now on",
    tags=["connections"],
)
async def end_overlap(
    connection_id: FromPath[UUID], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> EndpointView:
    """End the overlap; other processes of the host follow within a minute."""
    endpoint = await doorkeeper(request, parts, chosen).end_overlap(connection_id)
    parts.receiver.forget(endpoint.id)
    return whole(parts, endpoint)


@put(
    "/connections/{connection_id:uuid}/endpoint/networks",
    opt=asks("connections.manage"),
    responses=documented(*ERRORS, 422),
    summary="Say which networks may post",
    description="Checked before the proof; behind a proxy set AIOPS_TRUSTED_PROXIES. None listed: all may.",
    tags=["connections"],
)
async def set_networks(
    data: JSONBody[Networks], connection_id: FromPath[UUID], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> EndpointView:
    """Store the networks; other processes of the host follow within a minute."""
    endpoint = await doorkeeper(request, parts, chosen).restrict(connection_id, data.networks)
    parts.receiver.forget(endpoint.id)
    return whole(parts, endpoint)


@get(
    "/connections/{connection_id:uuid}/refusals",
    opt=asks("connections.read"),
    responses=documented(*ERRORS),
    summary="Explain the last webhooks that were refused",
    description="The last 20: which check failed and what to change; names of headers only, no values and no bodies.",
    tags=["connections"],
)
async def explain_refusals(connection_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> Explanation:
    """Return what was refused and why."""
    found = await refusals.explain(parts.database, chosen.tenant_id, connection_id)
    return msgspec.structs.replace(found, endpoint=whole(parts, found.endpoint))


def whole(parts: Parts, endpoint: EndpointView) -> EndpointView:
    """Return the endpoint with its whole address."""
    return msgspec.structs.replace(endpoint, webhook_url=parts.settings.public_url + endpoint.webhook_url)
