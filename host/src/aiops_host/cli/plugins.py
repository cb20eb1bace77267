"""``aiops plugins``: what is installed, what loaded, what failed and why."""

from __future__ import annotations

from collections.abc import Sequence

import click

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import EXIT_PROBLEM, as_json, print_json, print_table, run
from aiops_host.settings import read_settings

plugins = click.Group("plugins", help="Show what is installed, what loaded and what failed.", no_args_is_help=True)


@plugins.command("list")
@as_json
def list_(as_json: bool) -> int:
    """List the installed plugins; exit code 1 when one failed."""
    records = load_plugins(blocked=read_settings().blocked).records
    if as_json:
        print_json(records)
    else:
        rows = [(r.name, r.distribution, r.version, r.status, ", ".join(r.contributes)) for r in records]
        print_table(rows, ("NAME", "DISTRIBUTION", "VERSION", "STATUS", "CONTRIBUTES"))
        for record in records:
            if record.status == "failed":
                click.echo(f"\n{record.name} failed: {record.error}")
    return EXIT_PROBLEM if any(r.status == "failed" for r in records) else 0


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(plugins, argv, "plugins")
