"""``aiops tenants``: the customer organisations of this installation."""

from __future__ import annotations

from collections.abc import Sequence

import click

from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async

tenants = click.Group("tenants", help="Create and list tenants.", no_args_is_help=True)


@tenants.command()
@click.argument("slug")
@click.option("--name", help="The organisation's name; the slug if not given")
@as_json
def create(slug: str, name: str | None, as_json: bool) -> None:
    """Create the tenant SLUG: 2 to 63 of a-z, 0-9 and hyphen."""
    from aiops_host.data import tenants as store  # noqa: PLC0415 - the database is not needed for --help

    async def work() -> store.TenantRecord:
        async with opened() as database:
            return await store.create(database, slug, name or slug)

    tenant = run_async(work)
    if as_json:
        print_json(tenant)
    else:
        click.echo(f"tenant {tenant.slug} created; next: aiops connections create --tenant {tenant.slug} --help")


@tenants.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List all tenants."""
    from aiops_host.data import tenants as store  # noqa: PLC0415 - the database is not needed for --help

    async def work() -> list[store.TenantRecord]:
        async with opened() as database:
            return await store.directory(database)

    found = run_async(work)
    if as_json:
        print_json(found)
    else:
        print_table([(t.slug, t.name, t.state, t.created_at.date()) for t in found], ("SLUG", "NAME", "STATE", "SINCE"))


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(tenants, argv, "tenants")
