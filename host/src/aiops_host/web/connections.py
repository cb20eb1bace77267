"""Connections of a tenant to its ticketing tools."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from aiops_core.config import config_schema, secret_fields
from aiops_host.data import connections as stored
from aiops_host.data import probes
from aiops_host.data.connections import ConnectionSummary
from aiops_host.data.probes import ProbeView
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.doors import Doorkeeper
from aiops_host.trust.mending import change_config
from aiops_host.web.access import ChosenTenant, InTenant, asks
from aiops_host.web.audit import actor_of
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
AnyRequest = Request[Any, Any, Any]


class TicketingToolView(msgspec.Struct, frozen=True, kw_only=True):
    """An installed ticketing tool. ``schema`` is the JSON schema of its ``config``, ``secrets`` names what is sealed."""

    name: str
    title: str
    schema: dict[str, Any]
    secrets: list[str]
    setup_help: str


@get(
    "/ticketing-tools",
    opt=asks("plugins.read"),
    responses=documented(401, 503),
    summary="List ticketing tools and what a connection to each needs",
    tags=["connections"],
)
async def list_ticketing_tools(parts: WithParts) -> list[TicketingToolView]:
    """Return every installed ticketing tool by name."""
    return [
        TicketingToolView(
            name=spec.name,
            title=spec.title,
            schema=config_schema(spec.config),
            secrets=list(secret_fields(spec.config)),
            setup_help=spec.setup_help,
        )
        for _, spec in sorted(parts.registry.ticketing_tools.items())
    ]


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
async def add_connection(
    data: JSONBody[NewConnection], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> CreatedConnection:
    """Make a connection with its endpoint and webhook secret."""
    made = await create_connection(
        parts.database, parts.vault, parts.registry, chosen.tenant_id, data, actor=actor_of(request)
    )
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
    data: JSONBody[dict[str, Any]],
    connection_id: FromPath[UUID],
    request: AnyRequest,
    parts: WithParts,
    chosen: InTenant,
) -> ConnectionSummary:
    """Store the fields; a worker uses them from its next delivery on."""
    where = (chosen.tenant_id, connection_id)
    await change_config(parts.database, parts.vault, parts.registry, where, data, actor=actor_of(request))
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
async def pause_connection(
    connection_id: FromPath[UUID], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> ConnectionSummary:
    """Pause a connection."""
    await doorkeeper(request, parts, chosen).set_state(connection_id, "paused")
    return await stored.summary(parts.database, chosen.tenant_id, connection_id)


@post(
    "/connections/{connection_id:uuid}/resume",
    opt=asks("connections.manage"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS),
    summary="Let a paused connection go on",
    tags=["connections"],
)
async def resume_connection(
    connection_id: FromPath[UUID], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> ConnectionSummary:
    """Resume a connection."""
    await doorkeeper(request, parts, chosen).set_state(connection_id, "active")
    return await stored.summary(parts.database, chosen.tenant_id, connection_id)


@post(
    "/connections/{connection_id:uuid}/test",
    opt=asks("connections.manage"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(*ERRORS, 409),
    summary="Have a worker test a connection",
    description="A worker makes one authenticated read; ask `/api/v1/probes/{id}` what it showed.",
    tags=["connections"],
)
async def test_connection(
    connection_id: FromPath[UUID], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> ProbeView:
    """Ask for the test; no credential opens in this process."""
    probe_id = await doorkeeper(request, parts, chosen).ask_for_test(connection_id)
    parts.wakes.announce(probes.WAKE, probe_id)
    return await probes.show(parts.database, chosen.tenant_id, probe_id)


@delete(
    "/connections/{connection_id:uuid}",
    opt=asks("connections.manage"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(*ERRORS, 409),
    summary="Delete a connection; this cannot be undone",
    description=(
        "Its webhook address and secrets go, what was not finished ends. The history of its deliveries, runs and notes "
        "stays readable."
    ),
    tags=["connections"],
)
async def delete_connection(
    connection_id: FromPath[UUID],
    request: AnyRequest,
    parts: WithParts,
    chosen: InTenant,
    # Not required: a refusal for its absence would name the id, before it is known whose it is.
    confirm: Annotated[str, QueryParameter(max_length=255, description="The connection's name once more")] = "",
) -> None:
    """Delete a connection; other processes of the host follow within a minute, and store nothing for it."""
    parts.receiver.forget(await doorkeeper(request, parts, chosen).delete(connection_id, confirm))


def doorkeeper(request: AnyRequest, parts: Parts, chosen: ChosenTenant) -> Doorkeeper:
    """Return the hands of the person who asks on the connections of the tenant they chose."""
    return Doorkeeper(parts.database, actor_of(request), chosen.tenant_id)
