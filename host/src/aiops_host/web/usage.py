"""The ledger of what a tenant used of language models."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from aiops_host.data import usage as stored
from aiops_host.data.usage import UsageRow
from aiops_host.web.access import ChosenTenant, InTenant, asks
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
Since = Annotated[date | None, QueryParameter(description="First day, UTC; the first of this month if left out")]
Until = Annotated[date | None, QueryParameter(description="Last day, UTC; today if left out")]


@get(
    "/usage",
    opt=asks("usage.read"),
    responses=documented(*ERRORS),
    summary="What the tenant used of language models, by day, agent, provider and model",
    description="What calls without an answer may have cost at most stands apart, as doubtful; budgets count it.",
    tags=["budgets"],
)
async def tenant_usage(parts: WithParts, chosen: InTenant, since: Since = None, until: Until = None) -> list[UsageRow]:
    """Return the ledger."""
    return await _rows(parts, chosen, since, until)


@get(
    "/usage.csv",
    opt=asks("usage.read"),
    responses={
        200: ResponseSpec(data_container=str, media_type="text/csv", description="The ledger", generate_examples=False),
        **documented(*ERRORS),
    },
    summary="The same as CSV, for charge-back",
    tags=["budgets"],
)
async def usage_as_csv(parts: WithParts, chosen: InTenant, since: Since = None, until: Until = None) -> Response[str]:
    """Return the ledger as a file."""
    rows = await _rows(parts, chosen, since, until)
    return Response(
        stored.as_csv(chosen.slug, rows),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="usage-{chosen.slug}.csv"'},
    )


async def _rows(parts: Parts, chosen: ChosenTenant, since: date | None, until: date | None) -> list[UsageRow]:
    today = datetime.now(UTC).date()
    async with parts.database.tenant(chosen.tenant_id) as con:
        return await stored.rows(con, since or today.replace(day=1), until or today)


ROUTES = (tenant_usage, usage_as_csv)
