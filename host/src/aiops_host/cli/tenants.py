"""``aiops tenants``: the customer organisations of this installation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from aiops_core.plugins import load_plugins
from aiops_host.cli.archives import whole
from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async, typed_again
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from aiops_host.data.tenants import TenantChange, TenantDetail

tenants = click.Group("tenants", help="Create, change, export and delete tenants.", no_args_is_help=True)
slug_argument = click.argument("slug")


@tenants.command()
@slug_argument
@click.option("--name", help="The organisation's name; the slug if not given")
@as_json
def create(slug: str, name: str | None, as_json: bool) -> None:
    """Create the tenant SLUG: 2 to 63 of a-z, 0-9 and hyphen."""
    from aiops_host.data.tenants import TenantRecord  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.tenancy import create_tenant  # noqa: PLC0415

    async def work() -> TenantRecord:
        async with opened() as database:
            return await create_tenant(database, operator(), slug, name or slug)

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
        return
    print_table([(t.slug, t.name, t.state, t.created_at.date()) for t in found], ("SLUG", "NAME", "STATE", "SINCE"))
    if any(t.state == "suspended" for t in found):
        click.echo("\nWebhooks of a suspended tenant are stored and wait; aiops tenants resume lets it go on.")


@tenants.command()
@slug_argument
@as_json
def show(slug: str, as_json: bool) -> None:
    """Show a tenant with its settings."""
    from aiops_host.data import tenants as store  # noqa: PLC0415 - the database is not needed for --help

    async def work() -> TenantDetail:
        async with opened() as database:
            return await store.get(database, (await store.by_slug(database, slug)).id)

    _print(run_async(work), as_json)


@tenants.command("set")
@slug_argument
@click.option("--name", help="The organisation's name")
@click.option("--contact", help="Whom to ask about it")
@click.option("--overlap-hours", type=click.FloatRange(0, 168), help="How long a replaced webhook secret stays valid")
@as_json
def set_(slug: str, as_json: bool, **given: Any) -> None:
    """Change a tenant's name and settings; what is left out stays."""
    from aiops_host.data import tenants as store  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.tenancy import change_tenant  # noqa: PLC0415

    asked = {field: value for field, value in given.items() if value is not None}
    if not asked:
        raise click.UsageError("Say what to change: --name, --contact or --overlap-hours.")
    wanted: TenantChange = msgspec.convert(asked, store.TenantChange)

    async def work() -> TenantDetail:
        async with opened() as database:
            tenant = await store.by_slug(database, slug)
            return await change_tenant(database, operator(), tenant.id, wanted)

    _print(run_async(work), as_json)


@tenants.command()
@slug_argument
def suspend(slug: str) -> None:
    """Suspend a tenant.

    Its webhooks are stored and wait, and so do replays; workers take up none of its work. What is being worked on ends
    by itself.
    """
    _set_state(slug, "suspended")


@tenants.command()
@slug_argument
def resume(slug: str) -> None:
    """Let a suspended tenant go on. What waited is worked on, oldest first."""
    _set_state(slug, "active")


@tenants.command()
@slug_argument
@click.option("--to", "path", type=click.Path(path_type=Path), help="The archive; SLUG.zip if not given, - for stdout")
def export(slug: str, path: Path | None) -> None:
    """Write all rows of a tenant into a ZIP archive of JSON lines. Its secrets are left out.

    Its last file, manifest.json, counts the rows of every table and names the columns that were left out. An export that
    breaks off leaves no file; one written to stdout is then not whole and has no manifest.
    """
    from aiops_host.data import export as exporting  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants as store  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.tenancy import note_export  # noqa: PLC0415

    target = path or Path(f"{slug}.zip")

    async def work() -> int:
        async with opened() as database:
            tenant = await store.by_slug(database, slug)
            with whole(target) as file:
                await note_export(database, operator(), tenant.id)
                size = 0
                async for part in exporting.archive(database, tenant.id):
                    size += file.write(part)
                return size

    size = run_async(work)
    click.echo(f"{target} holds all rows of {slug}, {size} bytes", err=str(target) == "-")


@tenants.command()
@slug_argument
@click.option("--confirm", metavar="SLUG", help="The slug once more; asked for if not given")
def delete(slug: str, confirm: str | None) -> None:
    """Delete a tenant; this cannot be undone.

    Its keys are destroyed first: from then on nobody opens one of its secrets, in no backup either. Then its rows go. Stopped half-way, the same command, or the host, goes on. The audit trail stays.
    """
    from aiops_host.data import tenants as store  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415
    from aiops_host.trust.tenancy import begin_deletion, finish_deletion  # noqa: PLC0415

    typed = typed_again(f"Type {slug} to delete it with all it has") if confirm is None else confirm
    settings = read_settings()
    vault = open_vault(settings, load_plugins(blocked=settings.blocked).registry)

    async def work() -> tuple[int, str]:
        try:
            async with opened() as database:
                tenant = await store.by_slug(database, slug)
                begun = await begin_deletion(database, vault, operator(), tenant.id, typed)
                return await finish_deletion(database, vault, tenant, _progress), begun.keys_left
        finally:
            await vault.aclose()

    rows, left = run_async(work)
    click.echo(f"tenant {slug} is deleted: keys destroyed, {rows} rows gone")
    if left:
        click.echo(f"left to do by hand: {left}")


def _progress(table: str, rows: int) -> None:
    click.echo(f"{table}: {rows} rows", err=True)


def _set_state(slug: str, state: Literal["active", "suspended"]) -> None:
    from aiops_host.data import tenants as store  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.audit import operator  # noqa: PLC0415
    from aiops_host.trust.tenancy import set_tenant_state  # noqa: PLC0415

    async def work() -> TenantDetail:
        async with opened() as database:
            tenant = await store.by_slug(database, slug)
            return await set_tenant_state(database, operator(), tenant.id, state)

    _print(run_async(work), as_json=False)


def _print(tenant: TenantDetail, as_json: bool) -> None:
    if as_json:
        print_json(tenant)
        return
    click.echo(f"tenant {tenant.slug} ({tenant.name}): {tenant.state} since {tenant.state_since:%Y-%m-%d %H:%M} UTC")
    click.echo(f"  contact: {tenant.settings.contact or '-'}")
    click.echo(f"  a replaced webhook secret stays valid for {tenant.settings.overlap_hours:g} hours")
    if tenant.note:
        click.echo(f"  {tenant.note}")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(tenants, argv, "tenants")
