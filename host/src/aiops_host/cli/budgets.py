"""``aiops budgets``: what tenants may spend on language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from aiops_host.data.budgets import Budget, BudgetState, Period
    from aiops_host.trust.prices import Unpriced


class Dollars(click.FloatRange):
    """An amount in USD, from 0 on."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the amount; what is no number is refused in words."""
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is not an amount in USD, such as 50 or 12.5.", param, ctx)
        return super().convert(value, param, ctx)


PERIODS = click.Choice(["day", "month"])
tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose budget it is")

budgets = click.Group(
    "budgets",
    help="Bound what tenants spend on language models. A budget set here is the operator's; the tenant may set its own "
    "beside it, and both hold.",
    no_args_is_help=True,
)


@budgets.command("set")
@click.argument("period", type=PERIODS)
@tenant_option
@click.option("--tokens", type=click.IntRange(min=0), help="Most tokens in the period, asked and answered")
@click.option("--usd", type=Dollars(min=0), help="Most money in the period, in USD")
def set_(period: Period, slug: str, tokens: int | None, usd: float | None) -> None:
    """Set the budget of a PERIOD, day or month by UTC. At its end notes are made without AI text.

    It replaces the one set before: a limit that is not given again no longer holds.
    """
    from aiops_host.data import budgets as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust import audit, prices  # noqa: PLC0415

    registry = load_plugins(blocked=read_settings().blocked).registry
    budget = stored.Budget(tokens=tokens, usd=usd)

    async def work() -> tuple[str, list[str], list[Unpriced]]:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            async with database.tenant(tenant.id) as con:
                before = _operators(await stored.states(con), period)
                await stored.put(con, tenant.id, "operator", period, budget)
                await audit.record(
                    con,
                    tenant_id=tenant.id,
                    actor=audit.operator(),
                    act="budget.set",
                    subject=period,
                    details={"tokens": str(tokens), "usd": str(usd)},
                )
                states = await stored.states(con)
                missing = await prices.unpriced(con, registry, slug)
        now = _operators(states, period)
        assert now is not None  # noqa: S101 - it was set in this transaction
        return now.sentence, _dropped(before, budget), missing

    sentence, dropped, missing = run_async(work)
    click.echo(f"{slug}: {sentence}")
    for text in (*dropped, *(one.sentence for one in missing)):
        click.echo(f"{slug}: {text}", err=True)


def _operators(states: Sequence[BudgetState], period: Period) -> BudgetState | None:
    return next((s for s in states if (s.set_by, s.period) == ("operator", period)), None)


def _dropped(before: BudgetState | None, budget: Budget) -> list[str]:
    """Return in a sentence each which limits of the budget before no longer hold."""
    if before is None:
        return []
    limits = [("--tokens", f"{before.tokens:,} tokens")] if before.tokens is not None and budget.tokens is None else []
    if before.usd is not None and budget.usd is None:
        limits.append(("--usd", f"{before.usd:,.2f} USD"))
    return [
        f"the limit of {limit} a {before.period} no longer holds; give {option} as well to keep it."
        for option, limit in limits
    ]


@budgets.command()
@click.argument("period", type=PERIODS)
@tenant_option
def remove(period: Period, slug: str) -> None:
    """Take the operator's budget of a PERIOD away. The tenant's own stays."""
    from aiops_host.data import budgets as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust import audit  # noqa: PLC0415

    async def work() -> None:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            async with database.tenant(tenant.id) as con:
                if not await stored.remove(con, tenant.id, "operator", period):
                    raise stored.UnknownBudget(f"The operator has set no budget of a {period} for {slug}.")
                await audit.record(
                    con, tenant_id=tenant.id, actor=audit.operator(), act="budget.remove", subject=period
                )

    run_async(work)
    click.echo(f"{slug}: the operator's budget of a {period} is gone")


@budgets.command("list")
@click.option("--tenant", "slug", metavar="SLUG", help="Only this tenant's")
@as_json
def list_(slug: str | None, as_json: bool) -> None:
    """List budgets and how far they are used, the fullest first."""
    found = run_async(lambda: _listed(slug))
    if as_json:
        print_json(found)
        return
    rows = [(b.tenant, b.budget.set_by, b.budget.period, b.budget.level, b.budget.sentence) for b in found]
    print_table(rows, ("TENANT", "SET BY", "PERIOD", "LEVEL", "WHAT IT MEANS"))
    for line in dict.fromkeys(f"{b.tenant}: {one.sentence}" for b in found for one in b.unpriced):
        click.echo(f"\n{line}")


class ListedBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's budget, and the models a budget in USD keeps from being asked."""

    tenant: str
    budget: BudgetState
    unpriced: list[Unpriced]


async def _listed(slug: str | None) -> list[ListedBudget]:
    from aiops_host.data import budgets as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust import prices  # noqa: PLC0415

    registry = load_plugins(blocked=read_settings().blocked).registry
    async with opened() as database:
        found = [one for one in await stored.overview(database) if slug in (None, one.tenant)]
        missing: dict[str, list[Unpriced]] = {}
        for name in {one.tenant for one in found if one.budget.usd is not None}:
            tenant = await tenants.by_slug(database, name)
            async with database.tenant(tenant.id) as con:
                missing[name] = await prices.unpriced(con, registry, name)
    return [
        ListedBudget(
            tenant=one.tenant,
            budget=one.budget,
            unpriced=missing[one.tenant] if one.budget.usd is not None else [],
        )
        for one in found
    ]


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(budgets, argv, "budgets")
