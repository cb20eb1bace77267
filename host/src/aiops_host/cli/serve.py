"""``aiops serve``: webhooks and API."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import click

from aiops_core.plugins import load_plugins
from aiops_host.cli.program import blocked_in_vain, measured, print_json, run
from aiops_host.settings import Settings, read_settings

log = logging.getLogger(__name__)


@click.command()
def serve() -> int:
    """Run the host until SIGTERM or Ctrl-C; requests in flight are answered first."""
    from aiops_host.data.wakeup import NoWaker  # noqa: PLC0415 - heavy parts are not needed for --help
    from aiops_host.watch import tracing  # noqa: PLC0415
    from aiops_host.watch.logs import configure  # noqa: PLC0415
    from aiops_host.watch.metrics import Metrics  # noqa: PLC0415
    from aiops_host.web.server import serve as run_server  # noqa: PLC0415
    from aiops_host.work.queue import ArqWaker  # noqa: PLC0415

    settings = read_settings()
    configure(settings.log_level)
    plugins = load_plugins(blocked=settings.blocked)
    if in_vain := blocked_in_vain(settings, plugins):
        log.warning(in_vain)
    waker = ArqWaker(settings.redis_url) if settings.redis_url else NoWaker()
    metrics = Metrics()
    with measured(settings, metrics) as where:

        def listening(_host: str, port: int) -> None:
            print_json({"base_url": _reached_at(settings, port), "pid": os.getpid(), **where})

        flush = tracing.configure("host")
        try:
            return run_server(settings, plugins, waker=waker, metrics=metrics, listening=listening)
        finally:
            flush()


def _reached_at(settings: Settings, port: int) -> str:
    if settings.base_url:
        return settings.public_url
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(serve, argv, "serve")
