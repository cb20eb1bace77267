"""``aiops usage``: what language models were used for, for charge-back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async

if TYPE_CHECKING:
    from aiops_host.data.usage import UsageRow

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command(name="usage")
@click.option("--tenant", "slug", metavar="SLUG", help="Only this tenant's; every tenant's if left out")
@click.option("--from", "since", type=DAY, help="First day, UTC; the first of this month if left out")
@click.option("--to", "until", type=DAY, help="Last day, UTC; today if left out")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, one row per day, agent, provider and model")
@as_json
def usage(slug: str | None, since: datetime | None, until: datetime | None, as_csv: bool, as_json: bool) -> None:
    """Show what tenants used of language models: calls, tokens and money.

    What calls without an answer may have cost at most stands apart, as doubtful: budgets count it.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import usage as stored  # noqa: PLC0415

    today = datetime.now(UTC).date()
    first, last = since.date() if since else today.replace(day=1), until.date() if until else today

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
