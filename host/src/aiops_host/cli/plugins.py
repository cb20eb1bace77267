"""``aiops plugins``: what is installed, what loaded, what failed and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import EXIT_PROBLEM, as_json, blocked_in_vain, print_json, print_table, run
from aiops_host.settings import read_settings

plugins = click.Group("plugins", help="Show what is installed, what loaded and what failed.", no_args_is_help=True)


@plugins.command("list")
@as_json
def list_(as_json: bool) -> int:
    """List the installed plugins; exit code 1 when one failed."""
    settings = read_settings()
    loaded = load_plugins(blocked=settings.blocked)
    records = loaded.records
    if as_json:
        print_json(records)
    else:
        rows = [(r.name, r.distribution, r.version, r.status, ", ".join(r.contributes)) for r in records]
        print_table(rows, ("NAME", "DISTRIBUTION", "VERSION", "STATUS", "CONTRIBUTES"))
        for record in records:
            if record.status == "failed":
                click.echo(f"\n{record.name} failed: {record.error}")
    if in_vain := blocked_in_vain(settings, loaded):
        click.echo(f"\n{in_vain}", err=True)
    return EXIT_PROBLEM if any(r.status == "failed" for r in records) else 0


@plugins.command()
@click.argument("wheels", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--no-import", is_flag=True, help="Only read them; run nothing of theirs")
@as_json
def check(wheels: Sequence[Path], no_import: bool, as_json: bool) -> int:
    """Judge plugins' wheels before they are installed.

    Finds files that Python runs at every start, files that replace others' code, files that were changed, and modules
    that act when imported; the exit code is 1 then. Where reading finds nothing, the plugin's modules are imported in a
    child process with limits, in an environment of its own. It is no sandbox: code that is out to deceive gets around
    it with your rights, so run this as somebody who has few.
    """
    from aiops_host.trust.trial import LIMITS  # noqa: PLC0415 - not needed for --help
    from aiops_host.trust.wheels import judge  # noqa: PLC0415

    found = {str(wheel): judge(wheel, None if no_import else LIMITS) for wheel in wheels}
    if as_json:
        print_json(found)
    else:
        for wheel, reasons in found.items():
            click.echo(f"{wheel}: {'nothing was found' if not reasons else ''}".rstrip(" "))
            for reason in reasons:
                click.echo(f"  {reason}")
    return EXIT_PROBLEM if any(found.values()) else 0


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(plugins, argv, "plugins")
