"""``aiops keys``: the keys that seal secrets, made, changed and looked after while everything runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import EXIT_PROBLEM, as_json, opened, print_json, print_table, run, run_async
from aiops_host.settings import read_settings

if TYPE_CHECKING:
    from aiops_host.trust.keys.upkeep import Done, TenantKeys, Upkeep

keys = click.Group("keys", help="Make, change and look after the keys that seal secrets.", no_args_is_help=True)


@keys.command()
@click.argument("path", type=click.Path(path_type=Path))
def init(path: Path) -> None:
    """Write a new key to PATH.

    Only its owner can read it; name it in AIOPS_KEY_FILE.
    """
    from aiops_host.trust.vault import create_key_file  # noqa: PLC0415 - the database is not needed for --help

    create_key_file(path)
    click.echo(f"{path} holds a new key. Keep a copy of it apart from the database: without it no secret opens.")


@keys.command()
@click.option("--data-keys", is_flag=True, help="Give every tenant and the installation new data keys too")
@click.option("--tenant", "slug", metavar="SLUG", help="Only new data keys for this tenant; the provider's key stays")
@as_json
def rotate(data_keys: bool, slug: str | None, as_json: bool) -> None:
    """Make a new key and wrap with it from now on.

    What the old one wraps still opens, and everything runs on; `aiops keys rewrap` then brings it up to date. New data
    keys seal what is entered from now on, and the rest with the rewrap. The installation's own seals second factors.
    """

    async def work() -> int:
        from aiops_host.data import tenants  # noqa: PLC0415 - the database is not needed for --help

        async with _upkeep() as upkeep:
            only = (await tenants.by_slug(upkeep.database, slug)).id if slug else None
            if only is None:
                await upkeep.rotate()
            renewed = await upkeep.renew_data_keys(only) if data_keys or slug else 0
            await _note(upkeep, "keys.rotate", only, {"data_keys_made": str(renewed)})
            return renewed

    renewed = run_async(work)
    if as_json:
        print_json({"rotated": slug is None, "data_keys_made": renewed})
    else:
        made = "" if slug else "a new key wraps from now on; "
        click.echo(f"{made}data keys made: {renewed}\nnext: aiops keys rewrap")


@keys.command()
@click.option("--retire", is_flag=True, help="Then forget older keys: backups from before this can be read by nobody")
@click.option("--from", "source", metavar="PROVIDER", help="Take over data keys that this key provider wraps")
@as_json
def rewrap(retire: bool, source: str | None, as_json: bool) -> int:
    """Wrap with the newest key what older ones still wrap. It finishes what a rotation began.

    Can be stopped and started again at any time.
    """

    async def work() -> Done:
        async with _upkeep(source) as upkeep:
            done = await upkeep.rewrap()
            if retire and not done.troubles:
                done.retired = await upkeep.retire()
            counted = {"rewrapped": done.rewrapped, "resealed": done.resealed, "retired": done.retired}
            await _note(upkeep, "keys.rewrap", None, {name: str(number) for name, number in counted.items()})
            return done

    return _report(run_async(work), as_json=as_json)


@keys.command()
@as_json
def status(as_json: bool) -> int:
    """Show which keys wrap and seal what. Exit code 1 while `aiops keys rewrap` has something to do."""

    async def work() -> tuple[Any, list[TenantKeys]]:
        async with _upkeep() as upkeep:
            health = await upkeep.vault.check()
            return health, await upkeep.status() if health.status != "failed" else []

    health, found = run_async(work)
    failed = health.status == "failed"
    outdated = sum(t.outdated for t in found)
    if as_json:
        print_json(
            {
                "provider": read_settings().key_provider,
                "health": {"status": health.status, "detail": health.detail},
                "outdated": outdated,
                "data_keys": [_plain(tenant, row) for tenant in found for row in tenant.keys],
            }
        )
    else:
        click.echo(f"{read_settings().key_provider}: {health.detail}\n")
        print_table(_rows(found), ("TENANT", "PURPOSE", "DATA KEY", "SECRETS", "WRAPPED BY", "STATE"))
        if outdated:
            click.echo(f"\n{outdated} of them can be brought up to date: aiops keys rewrap")
    return EXIT_PROBLEM if failed or outdated else 0


@asynccontextmanager
async def _upkeep(source: str | None = None) -> AsyncIterator[Upkeep]:
    from aiops_host.trust.keys.upkeep import Upkeep  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.trust.opening import open_vault  # noqa: PLC0415

    settings = read_settings()
    registry = load_plugins(blocked=settings.blocked).registry
    vault = open_vault(settings, registry)
    moved_from = open_vault(settings, registry, source) if source else None
    try:
        async with opened() as database:
            yield Upkeep(database, vault, moved_from)
    finally:
        await vault.aclose()
        if moved_from is not None:
            await moved_from.aclose()


async def _note(upkeep: Upkeep, act: str, tenant_id: UUID | None, details: dict[str, str]) -> None:
    from aiops_host.trust.audit import operator, record  # noqa: PLC0415 - the database is not needed for --help

    provider = upkeep.vault.keys.provider_name
    await record(upkeep.database, tenant_id=tenant_id, actor=operator(), act=act, subject=provider, details=details)


def _report(done: Done, *, as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "rewrapped": done.rewrapped,
                "resealed": done.resealed,
                "dropped": done.dropped,
                "retired": done.retired,
                "troubles": done.troubles,
            }
        )
    else:
        click.echo(
            f"data keys wrapped anew: {done.rewrapped}, dropped: {done.dropped}; "
            f"secrets sealed anew: {done.resealed}; older keys forgotten: {done.retired}"
        )
        for trouble in done.troubles:
            click.echo(f"left as it was: {trouble}", err=True)
    return EXIT_PROBLEM if done.troubles else 0


def _rows(found: Sequence[TenantKeys]) -> list[tuple[object, ...]]:
    return [
        (t.slug, row.key.purpose, row.key.version, row.secrets, row.key.key_id, _state(t, row))
        for t in found
        for row in t.keys
    ]


def _state(tenant: TenantKeys, row: Any) -> str:
    wrapping = "" if row.key.key_id == tenant.current else ", wrapped by an older key"
    return f"{row.key.state}{wrapping}"


def _plain(tenant: TenantKeys, row: Any) -> dict[str, object]:
    return {
        "tenant": tenant.slug,
        "purpose": row.key.purpose,
        "version": row.key.version,
        "secrets": row.secrets,
        "provider": row.key.provider,
        "key_id": row.key.key_id,
        "state": row.key.state,
        "wrapped_by_newest": row.key.key_id == tenant.current,
    }


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(keys, argv, "keys")
