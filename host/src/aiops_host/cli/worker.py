"""``aiops worker``: agents and notes."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import blocked_in_vain, measured, print_json, run
from aiops_host.settings import read_settings

log = logging.getLogger(__name__)


@click.command()
def worker() -> None:
    """Run a worker until SIGTERM or Ctrl-C; it then finishes what it works on."""
    import uvloop  # noqa: PLC0415 - heavy parts are not needed for --help

    from aiops_host.trust.opening import open_vault  # noqa: PLC0415
    from aiops_host.watch import tracing  # noqa: PLC0415
    from aiops_host.watch.logs import configure  # noqa: PLC0415
    from aiops_host.watch.metrics import Metrics  # noqa: PLC0415
    from aiops_host.work.worker import run_worker  # noqa: PLC0415

    settings = read_settings()
    settings.require("database_url", "sweeper_database_url")
    configure(settings.log_level)
    plugins = load_plugins(blocked=settings.blocked)
    if in_vain := blocked_in_vain(settings, plugins):
        log.warning(in_vain)
    vault = open_vault(settings, plugins.registry)
    metrics = Metrics()
    with measured(settings, metrics) as where:

        def ready(name: str) -> None:
            print_json({"worker": name, **where})

        flush = tracing.configure("worker")
        try:
            uvloop.run(run_worker(settings, plugins, vault=vault, metrics=metrics, ready=ready))
        finally:
            flush()


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(worker, argv, "worker")
