"""What a tenant may spend on language models in a day or month, and how far that is used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal
from uuid import UUID

import msgspec

from aiops_core.errors import AiopsError, ConfigInvalid
from aiops_host.data import providers
from aiops_host.data.session import Connection, Database

Period = Literal["day", "month"]
SetBy = Literal["tenant", "operator"]
BudgetLevel = Literal["ok", "warning", "reached"]

WARN_AT = 0.8
MONTHS = 12


class UnknownBudget(AiopsError):
    """There is no such budget."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A limit in tokens, in USD or in both."""

    tokens: int | None = None
    usd: float | None = None


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and how far it is used in its present period, which began on ``starts`` (UTC).

    ``share`` is the larger of tokens and money, used and reserved; ``level`` is ``warning`` from 0.8 of what was used.
    ``sentence`` says in plain words what that means.
    """

    set_by: SetBy
    period: Period
    starts: date
    renews: date
    tokens: int | None
    usd: float | None
    used_tokens: int
    used_usd: float
    reserved_tokens: int
    reserved_usd: float
    share: float
    level: BudgetLevel
    sentence: str


class TenantBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's budget, for whoever runs the installation."""

    tenant: str
    budget: BudgetState


async def put(con: Connection, tenant_id: UUID, set_by: SetBy, period: Period, budget: Budget) -> None:
    """Set a budget, inside the caller's tenant session.

    Raises:
        ConfigInvalid: It limits nothing, or to less than nothing.
    """
    if budget.tokens is None and budget.usd is None:
        raise ConfigInvalid("tokens, usd: give at least one of the two.")
    if (budget.tokens or 0) < 0 or not 0 <= (budget.usd or 0) < 1e9:  # noqa: PLR2004 - as much as the column holds
        raise ConfigInvalid("tokens, usd: a budget is at least 0 and less than a thousand million USD.")
    await con.execute(
        "insert into llm_budget (tenant_id, set_by, period, tokens, usd) values ($1, $2, $3, $4, $5) "
        "on conflict (tenant_id, set_by, period) do update set tokens = excluded.tokens, usd = excluded.usd",
        tenant_id,
        set_by,
        period,
        budget.tokens,
        budget.usd,
    )
    await providers.count_change(con, tenant_id)


async def remove(con: Connection, tenant_id: UUID, set_by: SetBy, period: Period) -> bool:
    """Take a budget away, inside the caller's tenant session; False when there was none."""
    gone = await con.execute(
        "delete from llm_budget where tenant_id = $1 and set_by = $2 and period = $3", tenant_id, set_by, period
    )
    await providers.count_change(con, tenant_id)
    return bool(gone == "DELETE 1")


async def states(con: Connection) -> list[BudgetState]:
    """Return the tenant's budgets, inside the caller's tenant session."""
    return [state_of(dict(row)) for row in await con.fetch("select * from budget_states()")]


async def any_set(con: Connection) -> bool:
    """Return whether the tenant has a budget, inside the caller's tenant session."""
    return bool(await con.fetchval("select exists(select from llm_budget)"))


async def overview(database: Database) -> list[TenantBudget]:
    """Return the budgets of all tenants, those used furthest first."""
    async with database.role("app") as con:
        rows = [dict(row) for row in await con.fetch("select * from budget_overview()")]
    found = [TenantBudget(tenant=row.pop("tenant"), budget=state_of(row)) for row in rows]
    return sorted(found, key=lambda one: (-one.budget.share, one.tenant, one.budget.set_by, one.budget.period))


def state_of(row: Mapping[str, Any]) -> BudgetState:
    """Return a row of the database as a state, with what it means."""
    values: dict[str, Any] = {k: float(v) if k in _MONEY and v is not None else v for k, v in row.items()}
    used = _share(values["used_tokens"], values["tokens"]), _share(values["used_usd"], values["usd"])
    held = (
        _share(values["used_tokens"] + values["reserved_tokens"], values["tokens"]),
        _share(values["used_usd"] + values["reserved_usd"], values["usd"]),
    )
    level: BudgetLevel = "reached" if max(used) >= 1 else "warning" if max(used) >= WARN_AT else "ok"
    state = BudgetState(
        **values, renews=_next(values["period"], values["starts"]), share=max(held), level=level, sentence=""
    )
    return msgspec.structs.replace(state, sentence=_sentence(state, max(used)))


def limit_of(state: BudgetState) -> str:
    """Return a budget's limit in words."""
    parts = []
    if state.usd is not None:
        parts.append(f"{state.usd:,.2f} USD")
    if state.tokens is not None:
        parts.append(f"{state.tokens:,} tokens")
    return " and ".join(parts)


_MONEY = {"usd", "used_usd", "reserved_usd"}
_ADJECTIVES: Mapping[str, str] = {"day": "daily", "month": "monthly"}


def _sentence(state: BudgetState, used: float) -> str:
    name = f"The {_ADJECTIVES[state.period]} budget of {limit_of(state)}, set by the {state.set_by},"
    if state.level == "reached":
        return f"{name} is used up: until {state.renews} notes are made without AI text, unless it is raised."
    return f"{name} is used to {used:.0%}."


def _share(used: float, limit: float | None) -> float:
    if limit is None:
        return 0.0
    return used / limit if limit else 1.0


def _next(period: Period, starts: date) -> date:
    if period == "day":
        return date.fromordinal(starts.toordinal() + 1)
    return date(starts.year + starts.month // MONTHS, starts.month % MONTHS + 1, 1)
