"""Runs: what the agents did, for which ticket, with what evidence, at what cost."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.params import FromPath, QueryParameter

from aiops_host.data import runs
from aiops_host.data.runs import MAX_PAGE, RunDetail, RunFilters, RunOutcome, RunPage
from aiops_host.web import examples
from aiops_host.web.access import InTenant, asks
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
PAGE = 50


@get(
    "/runs",
    opt=asks("runs.read"),
    responses=examples.shown(RunPage, examples.RUN_PAGE) | documented(*ERRORS),
    summary="List runs, newest first",
    tags=["runs"],
)
async def list_runs(  # noqa: PLR0913 - each is one query parameter
    *,
    parts: WithParts,
    chosen: InTenant,
    run_outcome: Annotated[RunOutcome | None, QueryParameter(name="outcome")] = None,
    ticket: Annotated[str | None, QueryParameter(max_length=255, description="Id or number")] = None,
    connection: Annotated[str | None, QueryParameter(max_length=255, description="Name or id")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = PAGE,
    cursor: Annotated[str | None, QueryParameter(max_length=255, description="`next` of the page before")] = None,
) -> RunPage:
    """Return a page of the tenant's runs."""
    filters = RunFilters(outcome=run_outcome, ticket=ticket, connection=connection)
    return await runs.list_(parts.database, chosen.tenant_id, filters, limit=limit, cursor=cursor)


@get(
    "/runs/{run_id:uuid}",
    opt=asks("runs.read"),
    responses=examples.shown(RunDetail, examples.RUN_DETAIL) | documented(*ERRORS),
    summary="Show a run with its note, its evidence and its steps",
    tags=["runs"],
)
async def show_run(run_id: FromPath[UUID], parts: WithParts, chosen: InTenant) -> RunDetail:
    """Return one run."""
    return await runs.show(parts.database, chosen.tenant_id, run_id)
