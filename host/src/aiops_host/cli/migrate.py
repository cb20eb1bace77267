"""``aiops migrate``: roles and tables."""

from __future__ import annotations

from collections.abc import Sequence

import click

from aiops_host.cli.program import run, run_async
from aiops_host.settings import read_settings


@click.command()
def migrate() -> None:
    """Create or update roles and tables as AIOPS_MIGRATE_DATABASE_URL; harmless to repeat.

    Roles that do not exist yet get the passwords of AIOPS_DATABASE_URL, AIOPS_INTAKE_DATABASE_URL and
    AIOPS_SWEEPER_DATABASE_URL.
    """
    from aiops_host.data.migrate import migrate as run_migrations  # noqa: PLC0415 - piccolo is not needed for --help

    settings = read_settings()
    settings.require("migrate_database_url", "database_url", "intake_database_url", "sweeper_database_url")
    urls = (settings.database_url, settings.intake_database_url, settings.sweeper_database_url)
    done = run_async(lambda: run_migrations(settings.migrate_database_url, urls))
    for line in done or ["nothing to do"]:
        click.echo(line)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(migrate, argv, "migrate")
