"""How well it goes, as numbers with their goals: of one tenant, and of the whole installation."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import get

from aiops_host.data import figures, tenants, workers
from aiops_host.data.figures import WINDOW_HOURS, ConnectionHealth, Counts
from aiops_host.data.tenants import TenantRecord
from aiops_host.data.workers import WorkerView
from aiops_host.web import examples
from aiops_host.web.access import InTenant, asks
from aiops_host.web.goals import (
    Figure,
    InstallationFigures,
    TenantFigures,
    TenantLine,
    latency,
    pool_use,
    queue_depth,
    success_rate,
    working,
)
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)


@get(
    "/figures",
    opt=asks("figures.read"),
    responses=examples.shown(TenantFigures, examples.TENANT_FIGURES) | documented(*ERRORS),
    summary="The tenant's success rate, latency, queue and workers, each with its goal",
    tags=["figures"],
)
async def tenant_figures(parts: WithParts, chosen: InTenant) -> TenantFigures:
    """Return the tenant's figures of the last day."""
    counted = await figures.counts(parts.database, chosen.tenant_id)
    alive = _alive(await workers.list_(parts.database)) if counted.active else 0
    return TenantFigures(
        tenant=chosen.slug,
        hours=WINDOW_HOURS,
        needs_attention=counted.needs_attention,
        figures=[
            success_rate(counted.posted, counted.ended),
            latency(counted.slowest_seconds),
            queue_depth(counted.waiting, counted.oldest_seconds),
            working(alive, suspended=not counted.active),
        ],
    )


@get(
    "/connections/health",
    opt=asks("connections.read"),
    responses=examples.shown(list[ConnectionHealth], examples.CONNECTIONS_HEALTH) | documented(*ERRORS),
    summary="Which connections work, wait, fail or are paused, and why",
    tags=["connections"],
)
async def connections_health(parts: WithParts, chosen: InTenant) -> list[ConnectionHealth]:
    """Return the tenant's connections with what is in their way."""
    return await figures.connections(parts.database, chosen.tenant_id)


@get(
    "/installation",
    opt=asks("installation.read"),
    responses=examples.shown(InstallationFigures, examples.INSTALLATION_FIGURES) | documented(401, 403, 503),
    summary="The figures of all tenants together, the workers, and a line per tenant",
    tags=["installation"],
)
async def installation_figures(parts: WithParts) -> InstallationFigures:
    """Return the installation's figures of the last day."""
    known = await tenants.directory(parts.database)
    counted = [await figures.counts(parts.database, tenant.id) for tenant in known]
    seen = await workers.list_(parts.database)
    return InstallationFigures(
        hours=WINDOW_HOURS,
        figures=_together(parts, counted, seen),
        workers=seen,
        tenants=[_line(tenant, counts) for tenant, counts in zip(known, counted, strict=True)],
    )


def _together(parts: Parts, counted: Sequence[Counts], seen: Sequence[WorkerView]) -> list[Figure]:
    slowest = [c.slowest_seconds for c in counted if c.slowest_seconds is not None]
    pools = [parts.database.usage(), *((w.pool_in_use, w.pool_size) for w in seen if w.alive)]
    return [
        success_rate(sum(c.posted for c in counted), sum(c.ended for c in counted)),
        latency(max(slowest, default=None)),
        queue_depth(sum(c.waiting for c in counted), max((c.oldest_seconds for c in counted), default=0.0)),
        working(_alive(seen)),
        pool_use(pools),
    ]


def _line(tenant: TenantRecord, counts: Counts) -> TenantLine:
    return TenantLine(
        slug=tenant.slug,
        name=tenant.name,
        state=tenant.state,
        ended=counts.ended,
        posted=counts.posted,
        slowest_seconds=counts.slowest_seconds,
        waiting=counts.waiting,
        oldest_seconds=counts.oldest_seconds,
        needs_attention=counts.needs_attention,
    )


def _alive(seen: Sequence[WorkerView]) -> int:
    return sum(worker.alive for worker in seen)
