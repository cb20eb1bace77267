"""Tests that a worker makes for a person."""

from __future__ import annotations

from uuid import UUID

from litestar import get
from litestar.params import FromPath

from aiops_host.data import history_imports, probes
from aiops_host.data.probes import ProbeView, UnknownProbe
from aiops_host.web.access import InTenant, asks
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented


@get(
    "/probes/{probe_id:uuid}",
    opt=asks("probes.read"),
    responses=documented(400, 401, 403, 404, 503),
    summary="Read what a test of a key or connection showed",
    description="`result` is one sentence once `state` is `ok` or `failed`; until then ask again in a moment.",
    tags=["probes"],
)
async def show_probe(probe_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> ProbeView:
    """Return one test; a part of a command's import is none."""
    found = await probes.show(parts.database, chosen.tenant_id, probe_id)
    if found.kind == history_imports.PROBE:
        raise UnknownProbe
    return found
