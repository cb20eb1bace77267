"""``aiops privacy``: what of people a tenant keeps from language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from aiops_host.cli.program import as_json, opened, print_json, run, run_async

if TYPE_CHECKING:
    from aiops_host.data.privacy import Privacy

KINDS = ("email", "phone", "iban", "card", "ip")

tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose choice it is")
privacy = click.Group("privacy", help="Keep personal data from language models.", no_args_is_help=True)


@privacy.command()
@tenant_option
@as_json
def show(slug: str, as_json: bool) -> None:
    """Show which kinds are replaced before a model sees them."""
    from aiops_host.data import privacy as stored  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415

    async def work() -> Privacy:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            async with database.tenant(tenant.id) as con:
                return await stored.read(con)

    _tell(slug, run_async(work), as_json=as_json)


@privacy.command("set")
@tenant_option
@click.option(
    "--replace", "kinds", multiple=True, type=click.Choice(KINDS), help="A kind to replace; none: replace nothing"
)
@click.option(
    "--region", "regions", multiple=True, metavar="DE", help="A country whose phone numbers come without its code"
)
@as_json
def set_(slug: str, kinds: Sequence[Any], regions: Sequence[str], as_json: bool) -> None:
    """Choose what is replaced before a model sees it.

    Each value gets a stand-in; the note has the values again. Runs that begin later obey it.
    """
    from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data.privacy import Privacy  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.privacy import choose  # noqa: PLC0415

    wanted = Privacy(kinds=tuple(dict.fromkeys(kinds)), regions=tuple(dict.fromkeys(r.upper() for r in regions)))

    async def work() -> Privacy:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            return await choose(database, operator(), tenant.id, wanted)

    _tell(slug, run_async(work), as_json=as_json)


def _tell(slug: str, chosen: Privacy, *, as_json: bool) -> None:
    if as_json:
        print_json(chosen)
    elif not chosen.kinds:
        click.echo(f"{slug}: models see tickets as they are")
    else:
        where = f", phone numbers as in {', '.join(chosen.regions)}" if chosen.regions else ""
        click.echo(f"{slug}: models see stand-ins for {', '.join(chosen.kinds)}{where}")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(privacy, argv, "privacy")
