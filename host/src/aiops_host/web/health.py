"""Whether the host lives, and whether it can do its work."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, get

from aiops_host.data import health
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.web import examples
from aiops_host.web.access import asks
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import Problem, answer, documented

PartStatus = Literal["ok", "degraded", "failed"]
Status = Literal["ready", "degraded", "not-ready"]


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One part the host needs. ``degraded`` costs time or a feature, ``failed`` means it cannot work."""

    name: str
    status: PartStatus
    detail: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The whole and its parts."""

    status: Status
    parts: list[PartHealth]


@get("/health/live", opt=asks("public"), summary="Does the process answer", tags=["health"])
async def live() -> dict[str, str]:
    """Touch nothing and answer."""
    return {"status": "live"}


@get(
    "/health/ready",
    opt=asks("public"),
    responses=documented(503, limited=False),
    summary="Can the host take webhooks",
    tags=["health"],
)
async def ready(parts: WithParts) -> Response[Any]:
    """Answer 200 while webhooks can be taken, 503 naming what is not ready otherwise."""
    found = await examine(parts)
    if found.status != "not-ready":
        return Response(found)
    failed = ", ".join(p.name for p in found.parts if p.status == "failed")
    refused = Problem(
        status=503, code="not-ready", detail=f"Not ready: {failed}.", parts=msgspec.to_builtins(found.parts)
    )
    return answer(refused, {"Retry-After": "5"})


@get(
    "/health",
    opt=asks("health.read"),
    responses=examples.shown(Readiness, examples.READINESS) | documented(401, 503),
    summary="The health of each part",
    tags=["health"],
)
async def parts_health(parts: WithParts) -> Readiness:
    """Return every part with its state."""
    return await examine(parts)


async def examine(parts: Parts) -> Readiness:
    """Look at each part."""
    found = [await _postgres(parts), await _key(parts), _plugins(parts), await _wake_ups(parts)]
    states = {part.status for part in found}
    status: Status = "not-ready" if "failed" in states else "degraded" if "degraded" in states else "ready"
    return Readiness(status=status, parts=found)


async def _postgres(parts: Parts) -> PartHealth:
    try:
        await health.check(parts.database)
    except TRY_AGAIN:
        return PartHealth(name="postgresql", status="failed", detail="PostgreSQL does not answer.")
    busy, most = parts.database.usage()
    return PartHealth(name="postgresql", status="ok", detail=f"{busy} of {most} connections in use.")


async def _key(parts: Parts) -> PartHealth:
    found = await parts.vault.check()
    return PartHealth(name="key", status=found.status, detail=found.detail)


def _plugins(parts: Parts) -> PartHealth:
    failed = [p.name for p in parts.plugins.records if p.status == "failed"]
    if failed:
        return PartHealth(name="plugins", status="degraded", detail=f"Failed to load: {', '.join(failed)}.")
    if not parts.registry.ticketing_tools:
        return PartHealth(name="plugins", status="degraded", detail="No ticketing tool is installed.")
    return PartHealth(name="plugins", status="ok", detail=f"{len(parts.plugins.records)} loaded.")


async def _wake_ups(parts: Parts) -> PartHealth:
    if await parts.wakes.travel():
        return PartHealth(name="wake-ups", status="ok", detail=f"{parts.wakes.failed} did not travel since the start.")
    return PartHealth(
        name="wake-ups", status="degraded", detail="Redis does not answer; the worker polls PostgreSQL instead."
    )
