"""Connections of a tenant to its ticketing tools."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import get, post, put
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from aiops_host.data import connections as stored
from aiops_host.data.connections import PAUSED_BY_HAND, ConnectionState, ConnectionSummary
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.mending import change_config
from aiops_host.web.access import ChosenTenant, InTenant, asks
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)


@get(
    "/connections",
    opt=asks("connections.read"),
    responses=documented(*ERRORS),
    summary="List connections, without their secrets",
    tags=["connections"],
)
async def list_connections(parts: WithParts, chosen: InTenant) -> list[ConnectionSummary]:
    """Return the tenant's connections."""
    return await stored.list_(parts.database, chosen.tenant_id)


@post(
    "/connections",
    opt=asks("connections.manage"),
    status_code=HTTP_201_CREATED,
    responses=documented(*ERRORS, 409, 422),
    summary="Connect a ticketing tool",
    description="The webhook secret is in this answer and nowhere else afterwards.",
    tags=["connections"],
)
async def add_connection(data: JSONBody[NewConnection], parts: WithParts, chosen: InTenant) -> CreatedConnection:
    """Make a connection with its endpoint and webhook secret."""
    made = await create_connection(parts.database, parts.vault, parts.registry, chosen.tenant_id, data)
    return made.at(parts.settings.public_url)


@put(
    "/connections/{connection_id:uuid}/config",
    opt=asks("connections.manage"),
    responses=documented(*ERRORS, 422),
    summary="Change fields of a connection's configuration",
    description=(
        "Fields left out stay, and so do the webhook's address and secret; credentials have to be given again when any "
        "other field changes. A connection its ticketing tool refused goes on with the new values."
    ),
    tags=["connections"],
)
async def change_connection(
    data: JSONBody[dict[str, Any]], connection_id: FromPath[UUID], parts: WithParts, chosen: InTenant
) -> ConnectionSummary:
    """Store the fields; a worker uses them from its next delivery on."""
    await change_config(parts.database, parts.vault, parts.registry, (chosen.tenant_id, connection_id), data)
    await stored.resume_mended(parts.database, chosen.tenant_id, connection_id)
    return await stored.summary(parts.database, chosen.tenant_id, connection_id)


@post(
    "/connections/{connection_id:uuid}/pause",
    opt=asks("connections.manage"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS),
    summary="Pause a connection; its deliveries are kept and wait",
    tags=["connections"],
)
async def pause_connection(connection_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> ConnectionSummary:
    """Pause a connection."""
    return await _changed(parts, chosen, connection_id, "paused")


@post(
    "/connections/{connection_id:uuid}/resume",
    opt=asks("connections.manage"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS),
    summary="Let a paused connection go on",
    tags=["connections"],
)
async def resume_connection(connection_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> ConnectionSummary:
    """Resume a connection."""
    return await _changed(parts, chosen, connection_id, "active")


async def _changed(
    parts: Parts, chosen: ChosenTenant, connection_id: UUID, state: ConnectionState
) -> ConnectionSummary:
    reason = PAUSED_BY_HAND if state == "paused" else None
    await stored.set_state(parts.database, chosen.tenant_id, connection_id, state, reason)
    return await stored.summary(parts.database, chosen.tenant_id, connection_id)
