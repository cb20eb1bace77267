"""``aiops assets``: a tenant's machines, devices and services."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aiops_host.cli.program import as_json, run

assets = click.Group("assets", help="Import a tenant's assets.", no_args_is_help=True)


@assets.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose assets they are")
@as_json
def import_(path: Path, slug: str, as_json: bool) -> None:
    """Import assets from CSV or JSON.

    Known assets are brought up to date.

    Columns: name is needed; kind, owner, site, notes, and hostnames and ips separated by semicolons may be there.
    """
    from aiops_host.cli.files import read_assets  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.imports import import_all, remark  # noqa: PLC0415
    from aiops_host.data.retrieval import assets as inventory  # noqa: PLC0415

    import_all(slug, read_assets(path, remark), inventory.upsert, noun="assets", as_json=as_json)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(assets, argv, "assets")
