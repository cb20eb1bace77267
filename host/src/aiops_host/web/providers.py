"""Model providers of the operator's catalogue, and the tenant's keys for them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, post, put
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT
from msgspec import Meta

from aiops_host.data import probes
from aiops_host.data.probes import ProbeView
from aiops_host.trust.tenant_keys import (
    MAX_KEY,
    Entering,
    NewKey,
    ProviderView,
    drop_key,
    enter_key,
    order_keys,
    provider_views,
    test_key,
)
from aiops_host.web.access import ChosenTenant, InTenant, asks
from aiops_host.web.audit import actor_of
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
AnyRequest = Request[Any, Any, Any]
Name = Annotated[str, Meta(min_length=1, max_length=40)]
Called = Annotated[str, QueryParameter(min_length=1, max_length=40, description="The provider's name")]


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key for a provider, the models it may ask, best first, and the resource's address where there are several."""

    provider: Name
    key: Annotated[str, Meta(min_length=1, max_length=MAX_KEY)]
    models: Annotated[list[Annotated[str, Meta(max_length=160)]], Meta(min_length=1, max_length=5)]
    endpoint: Annotated[str, Meta(max_length=255)] | None = None

    def __repr__(self) -> str:
        return f"KeyEntry(provider={self.provider!r})"


class KeyTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which provider's key to try."""

    provider: Name


class ProviderOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Providers by name, the one to ask first in front."""

    order: Annotated[list[Name], Meta(min_length=1, max_length=50)]


@get(
    "/providers",
    opt=asks("providers.read"),
    responses=documented(*ERRORS),
    summary="List model providers and the state of the tenant's keys for them",
    description="In the order they are asked. Keys are never shown.",
    tags=["providers"],
)
async def list_providers(parts: WithParts, chosen: InTenant) -> list[ProviderView]:
    """Return the catalogue with the tenant's keys."""
    return await provider_views(parts.database, chosen.tenant_id)


@put(
    "/providers/key",
    opt=asks("providers.manage"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(*ERRORS, 422),
    summary="Enter a key",
    description=(
        "A worker tries it with one small call; read what came of it at /probes/{id}. The key is used once that went "
        "well; until then an older one is, and a key that fails is destroyed."
    ),
    tags=["providers"],
)
async def put_key(data: JSONBody[KeyEntry], request: AnyRequest, parts: WithParts, chosen: InTenant) -> ProbeView:
    """Seal the key and ask for its test."""
    new = NewKey(key=data.key, models=tuple(data.models), endpoint=data.endpoint)
    probe_id = await enter_key(parts.database, parts.vault, _who(request, chosen), data.provider, new)
    return await _announced(parts, chosen, probe_id)


@post(
    "/providers/test",
    opt=asks("providers.manage"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(*ERRORS, 422),
    summary="Try the key in use",
    description="A worker makes one small call; read what it showed at /probes/{id}. The key stays, whatever it showed.",
    tags=["providers"],
)
async def try_key(data: JSONBody[KeyTest], request: AnyRequest, parts: WithParts, chosen: InTenant) -> ProbeView:
    """Ask for a test."""
    return await _announced(parts, chosen, await test_key(parts.database, _who(request, chosen), data.provider))


@put(
    "/providers/order",
    opt=asks("providers.manage"),
    responses=documented(*ERRORS, 422),
    summary="Say in which order providers are asked",
    description="Each is asked when those before it failed; providers left out come after those named.",
    tags=["providers"],
)
async def put_order(
    data: JSONBody[ProviderOrder], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> list[ProviderView]:
    """Store the order."""
    await order_keys(parts.database, _who(request, chosen), data.order)
    return await provider_views(parts.database, chosen.tenant_id)


@delete(
    "/providers/key",
    opt=asks("providers.manage"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(*ERRORS),
    summary="Destroy the key for a provider",
    description="A key the operator granted is taken back by a platform administrator.",
    tags=["providers"],
)
async def delete_key(provider: Called, request: AnyRequest, parts: WithParts, chosen: InTenant) -> None:
    """Take the key away."""
    await drop_key(parts.database, _who(request, chosen, platform=chosen.role == "platform-admin"), provider)


def _who(request: AnyRequest, chosen: ChosenTenant, *, platform: bool = False) -> Entering:
    origin: Any = "operator" if platform else "tenant"
    return Entering(tenant_id=chosen.tenant_id, actor=actor_of(request), origin=origin)


async def _announced(parts: Parts, chosen: ChosenTenant, probe_id: UUID) -> ProbeView:
    parts.wakes.announce(probes.WAKE, probe_id)
    return await probes.show(parts.database, chosen.tenant_id, probe_id)


ROUTES = (list_providers, put_key, try_key, put_order, delete_key)
