"""What tenants may spend on language models, and how far that is used."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, put
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_204_NO_CONTENT
from msgspec import Meta

from aiops_host.data import budgets as stored
from aiops_host.data.budgets import Budget, BudgetState, Period, SetBy, TenantBudget, UnknownBudget
from aiops_host.trust import audit
from aiops_host.trust.prices import Unpriced, unpriced
from aiops_host.web.access import ChosenTenant, InTenant, asks
from aiops_host.web.audit import actor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
AnyRequest = Request[Any, Any, Any]
OfPeriod = Annotated[Period, QueryParameter(description="Whose end the budget is renewed at, by UTC")]


class BudgetEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit for a day or a month, in tokens, in USD or in both."""

    period: Period
    tokens: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    usd: Annotated[float, Meta(ge=0, le=10**8)] | None = None


@get(
    "/budgets",
    opt=asks("budgets.read"),
    responses=documented(*ERRORS),
    summary="List the tenant's budgets and how far they are used",
    description="Those set by the tenant and by the operator both hold. From 80 % on the level is `warning`.",
    tags=["budgets"],
)
async def list_budgets(parts: WithParts, chosen: InTenant) -> list[BudgetState]:
    """Return the tenant's budgets."""
    async with parts.database.tenant(chosen.tenant_id) as con:
        return await stored.states(con)


@get(
    "/budgets/unpriced",
    opt=asks("budgets.read"),
    responses=documented(*ERRORS),
    summary="List the models a budget in USD keeps from being asked",
    description="Those without a known price; none while no budget is in USD. `sentence` has the command that mends it.",
    tags=["budgets"],
)
async def list_unpriced(parts: WithParts, chosen: InTenant) -> list[Unpriced]:
    """Return the tenant's models without a known price."""
    async with parts.database.tenant(chosen.tenant_id) as con:
        return await unpriced(con, parts.registry, chosen.slug)


@put(
    "/budgets",
    opt=asks("budgets.manage"),
    responses=documented(*ERRORS, 422),
    summary="Set the budget of a day or month",
    description=(
        "A platform administrator sets the operator's, a tenant's administrator the tenant's own. When one is used up "
        "notes are made without AI text."
    ),
    tags=["budgets"],
)
async def put_budget(
    data: JSONBody[BudgetEntry], request: AnyRequest, parts: WithParts, chosen: InTenant
) -> list[BudgetState]:
    """Store the budget."""
    budget = Budget(tokens=data.tokens, usd=data.usd)
    details = {"set_by": _by(chosen), "tokens": str(data.tokens), "usd": str(data.usd)}
    async with parts.database.tenant(chosen.tenant_id) as con:
        await stored.put(con, chosen.tenant_id, _by(chosen), data.period, budget)
        await audit.record(
            con,
            tenant_id=chosen.tenant_id,
            actor=actor_of(request),
            act="budget.set",
            subject=data.period,
            details=details,
        )
        return await stored.states(con)


@delete(
    "/budgets",
    opt=asks("budgets.manage"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(*ERRORS),
    summary="Take the budget of a day or month away",
    tags=["budgets"],
)
async def delete_budget(period: OfPeriod, request: AnyRequest, parts: WithParts, chosen: InTenant) -> None:
    """Take one's own kind of budget away."""
    async with parts.database.tenant(chosen.tenant_id) as con:
        if not await stored.remove(con, chosen.tenant_id, _by(chosen), period):
            raise UnknownBudget
        await audit.record(
            con,
            tenant_id=chosen.tenant_id,
            actor=actor_of(request),
            act="budget.remove",
            subject=period,
            details={"set_by": _by(chosen)},
        )


@get(
    "/installation/budgets",
    opt=asks("installation.read"),
    responses=documented(401, 403, 503),
    summary="List the budgets of all tenants, those used furthest first",
    tags=["budgets"],
)
async def installation_budgets(parts: WithParts) -> list[TenantBudget]:
    """Return every tenant's budgets."""
    return await stored.overview(parts.database)


def _by(chosen: ChosenTenant) -> SetBy:
    return "operator" if chosen.role == "platform-admin" else "tenant"


ROUTES = (list_budgets, list_unpriced, put_budget, delete_budget, installation_budgets)
