"""Tenants and plugins of the installation."""

from __future__ import annotations

import msgspec
from litestar import get

from aiops_core.plugins import PluginStatus
from aiops_host.data import tenants
from aiops_host.data.tenants import TenantRecord
from aiops_host.web import examples
from aiops_host.web.access import asks
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented


class PluginView(msgspec.Struct, frozen=True, kw_only=True):
    """An installed plugin: what it contributes, or why it does not."""

    name: str
    distribution: str
    version: str
    status: PluginStatus
    error: str | None
    contributes: list[str]


@get(
    "/plugins",
    opt=asks("plugins.read"),
    responses=examples.shown(list[PluginView], examples.PLUGINS) | documented(401, 503),
    summary="List plugins",
    tags=["installation"],
)
async def list_plugins(parts: WithParts) -> list[PluginView]:
    """Return all installed plugins, loaded or not."""
    return [
        PluginView(
            name=p.name,
            distribution=p.distribution,
            version=p.version,
            status=p.status,
            error=p.error,
            contributes=list(p.contributes),
        )
        for p in parts.plugins.records
    ]


@get(
    "/tenants",
    opt=asks("tenants.list"),
    responses=documented(401, 403, 503),
    summary="List tenants",
    tags=["installation"],
)
async def list_tenants(parts: WithParts) -> list[TenantRecord]:
    """Return every tenant."""
    return await tenants.directory(parts.database)
