"""``aiops audit``: who did what, and whether the trail is whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import click

from aiops_host.cli.program import EXIT_PROBLEM, as_json, opened, print_json, print_table, run, run_async

if TYPE_CHECKING:
    from aiops_host.data.audit import AuditPage, ChainReport
    from aiops_host.data.session import Database

TIME = "%Y-%m-%d %H:%M:%S"
HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")

tenant_option = click.option("--tenant", "slug", metavar="SLUG", help="Whose trail; the platform's own if left out")

audit = click.Group("audit", help="Read the audit trail and check that it is whole.", no_args_is_help=True)


@audit.command("list")
@tenant_option
@click.option("--act", help="Only this act; with a dot at its end all of a kind, as in `connection.`")
@click.option("--actor", help="Only what this person, token or account did")
@click.option("--subject", help="Only what was done to this")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", help="Go on after an earlier page")
@as_json
def list_(slug: str | None, limit: int, cursor: str | None, as_json: bool, **wanted: str | None) -> None:
    """List acts, newest first."""
    from aiops_host.data import audit as stored  # noqa: PLC0415 - the database is not needed for --help

    async def work() -> AuditPage:
        async with opened() as database:
            chain = await _chain(database, slug)
            filters = stored.AuditFilters(**wanted)
            return await stored.list_(database, chain, filters, limit=limit, cursor=cursor)

    page = run_async(work)
    if as_json:
        print_json(page)
        return
    rows = [
        (e.number, f"{e.at:{TIME}}", e.act, e.subject, e.actor or e.actor_kind, _details(e.details)) for e in page.items
    ]
    print_table(rows, ("ENTRY", "TIME (UTC)", "ACT", "SUBJECT", "ACTOR", "DETAILS"))
    if page.next:
        click.echo(f"\nmore: --cursor {page.next}")


@audit.command()
@click.option("--tenant", "slug", metavar="SLUG", help="Only this tenant's trail; else every trail and the platform's")
@click.option("--expect", metavar="NUMBER:HASH", help="A head noted earlier, which must still be in the chain")
@as_json
def verify(slug: str | None, expect: str | None, as_json: bool) -> int:
    """Check that no entry was changed, removed or added by hand.

    Prints each chain's head as NUMBER:HASH. Whoever owns the database could rewrite a whole chain with its head; to
    see that too, keep heads elsewhere (the host logs them) and give one back with --expect. The exit code is 1 when
    a chain is broken.
    """
    from aiops_host.data import audit as stored  # noqa: PLC0415 - the database is not needed for --help

    noted = _noted(expect)

    async def work() -> list[tuple[str, ChainReport]]:
        async with opened() as database:
            names = await _names(database)
            wanted = [await _chain(database, slug)] if slug or noted else await stored.chains(database)
            return [
                (names.get(chain, f"{chain} (deleted)"), await stored.check(database, chain, noted)) for chain in wanted
            ]

    found = run_async(work)
    if as_json:
        print_json([{"chain": name, "report": report} for name, report in found])
    else:
        for name, report in found:
            click.echo(f"{name}: {report.broken or 'whole'}  {report.number}:{report.hash}".rstrip(":"))
    return EXIT_PROBLEM if any(report.broken for _, report in found) else 0


async def _chain(database: Database, slug: str | None) -> UUID:
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data.audit import PLATFORM  # noqa: PLC0415

    return (await tenants.by_slug(database, slug)).id if slug else PLATFORM


async def _names(database: Database) -> dict[UUID, str]:
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data.audit import PLATFORM  # noqa: PLC0415

    return {PLATFORM: "platform", **{tenant.id: tenant.slug for tenant in await tenants.directory(database)}}


def _noted(expect: str | None) -> tuple[int, str] | None:
    if expect is None:
        return None
    match = HEAD.fullmatch(expect.strip().lower())
    if match is None:
        raise click.UsageError("--expect takes what `aiops audit verify` printed: the number, a colon, the hash.")
    return int(match[1]), match[2]


def _details(details: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in details.items())


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(audit, argv, "audit")
