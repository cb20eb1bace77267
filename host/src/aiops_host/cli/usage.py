"""``aiops usage``: what language models were used for, for charge-back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async

if TYPE_CHECKING:
    from aiops_host.data.usage import UsageRow

FORM = re.compile(r"\d{4}-\d{2}-\d{2}")


class Day(click.ParamType[date]):
    """A day such as 2026-01-31."""

    name = "YYYY-MM-DD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day."""
        if isinstance(value, date):
            return value
        text = str(value)
        if not FORM.fullmatch(text):
            self.fail(f"{text!r} is no day of the form YYYY-MM-DD, such as 2026-01-31.", param, ctx)
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            self.fail(f"There is no day {text} (YYYY-MM-DD): {error}.", param, ctx)


@click.command(name="usage")
@click.option("--tenant", "slug", metavar="SLUG", help="Only this tenant's; every tenant's if left out")
@click.option("--from", "since", type=Day(), help="First day, UTC; the first of this month if left out")
@click.option("--to", "until", type=Day(), help="Last day, UTC; today if left out")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one row per day, agent, provider and model")
@as_json
def usage(slug: str | None, since: date | None, until: date | None, as_csv: bool, as_json: bool) -> None:
    """Show what tenants used of language models: calls, tokens and money.

    What calls without an answer may have cost at most stands apart, as doubtful: budgets count it.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import usage as stored  # noqa: PLC0415

    today = datetime.now(UTC).date()
    first, last = since or today.replace(day=1), until or today
    if first > last:
        raise click.UsageError(
            f"The first day, {first}, is after the last, {last}; left out, --from is the first of this month and --to today."
        )

    async def work() -> list[tuple[str, list[UsageRow]]]:
        async with opened() as database:
            chosen = [await tenants.by_slug(database, slug)] if slug else await tenants.directory(database)
            found = []
            for tenant in chosen:
                async with database.tenant(tenant.id) as con:
                    found.append((tenant.slug, await stored.rows(con, first, last)))
            return found

    found = run_async(work)
    if as_csv:
        texts = [stored.as_csv(tenant, rows, heading=number == 0) for number, (tenant, rows) in enumerate(found)]
        click.echo("".join(texts), nl=False)
    elif as_json:
        print_json([{"tenant": tenant, "rows": rows} for tenant, rows in found])
    else:
        _table(found, first, last)


def _table(found: Sequence[tuple[str, Sequence[UsageRow]]], first: date, last: date) -> None:
    click.echo(f"{first} to {last}, UTC\n")
    rows = [
        (
            tenant,
            r.day,
            r.agent,
            r.model,
            r.calls,
            r.failures,
            r.prompt_tokens,
            r.completion_tokens,
            f"{r.cost_usd:.4f}",
        )
        for tenant, lines in found
        for r in lines
    ]
    print_table(rows, ("TENANT", "DAY", "AGENT", "MODEL", "CALLS", "FAILED", "ASKED", "ANSWERED", "USD"))


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(usage, argv, "usage")
