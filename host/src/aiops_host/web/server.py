"""The host process: uvicorn with deadlines, bounded headers and connections, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import msgspec
import uvicorn
import uvloop

from aiops_core.errors import AiopsError
from aiops_core.plugins import PluginManager
from aiops_host.data import walls
from aiops_host.data.session import Database
from aiops_host.data.wakeup import NoWaker, Waker
from aiops_host.settings import Settings
from aiops_host.trust.opening import open_vault
from aiops_host.watch.loop_lag import watching_loop
from aiops_host.watch.metrics import Metrics
from aiops_host.web.app import create_app
from aiops_host.web.backlog import watching_backlog
from aiops_host.web.protocol import deadline_protocol
from aiops_host.web.watching import Watched

log = logging.getLogger(__name__)

READ_SECONDS = 10.0
MAX_CONNECTIONS = 2000
KEEP_ALIVE_SECONDS = 15
DRAIN_SECONDS = 20
BACKLOG = 2048

Listening = Callable[[str, int], None]
MakeApp = Callable[[Settings, Database], Watched]


class CannotListen(AiopsError):
    """The address is in use or not ours."""


class Server(uvicorn.Server):
    """uvicorn that ends with its own exit code on SIGTERM and tells where it listens."""

    def __init__(self, config: uvicorn.Config, listening: Listening | None = None) -> None:
        """Take uvicorn's configuration and what to call with host and port once connections are accepted."""
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on the first SIGTERM or SIGINT, cut off on a second Ctrl-C; uvicorn would raise the signal anew."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then say so."""
        await super().startup(sockets=sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("listening on http://%s:%s", host, port)
        if self._listening is not None:
            self._listening(host, port)


def serve(
    settings: Settings,
    plugins: PluginManager,
    *,
    waker: Waker | None = None,
    metrics: Metrics | None = None,
    listening: Listening | None = None,
    read_seconds: float = READ_SECONDS,
) -> int:
    """Run the host until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        settings: The host's settings; port 0 takes a free one.
        plugins: The installed plugins.
        waker: What carries wake-ups to the worker.
        metrics: What counts and times.
        listening: Called with host and port once connections are accepted.
        read_seconds: Longest time for one request's head and body.

    Returns:
        The exit code.

    Raises:
        AiopsError: Refused to start: a setting, the key, a database role or the plugins.
    """
    settings.require("database_url", "intake_database_url")
    vault = open_vault(settings, plugins.registry)
    counting = metrics or Metrics()
    counting.show_plugins(plugins.records)
    counting.expect_webhooks(plugins.registry.ticketing_tools)

    def application(settings: Settings, database: Database) -> Watched:
        counting.show_pool(database.usage)
        return Watched(create_app(settings, plugins, database, vault, waker or NoWaker(), counting), counting)

    return uvloop.run(_serve(settings, application, counting, listening, read_seconds))


async def _serve(
    settings: Settings, application: MakeApp, metrics: Metrics, listening: Listening | None, read_seconds: float
) -> int:
    counts = bool(settings.metrics_port and settings.sweeper_database_url)
    database = await _database(settings, counts=counts)
    try:
        await walls.check(database)
        bound = _bind(settings.host, settings.port)
    except AiopsError:
        await database.close()
        raise
    metrics.rls_self_check.set(1)
    # The port is known now, so that the addresses the host gives out are right even where it chose the port.
    settings = msgspec.structs.replace(settings, port=bound.getsockname()[1])
    config = uvicorn.Config(
        application(settings, database),
        http=deadline_protocol(read_seconds, MAX_CONNECTIONS),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
    )
    async with watching_backlog(database, metrics, wanted=counts), watching_loop(metrics):
        await Server(config, listening).serve(sockets=[bound])
    return 0


async def _database(settings: Settings, *, counts: bool) -> Database:
    intake = max(2, settings.pool_size // 2)
    urls = {"app": settings.database_url, "intake": settings.intake_database_url}
    sizes = {"app": max(2, settings.pool_size - intake - counts), "intake": intake}
    if counts:
        urls["sweeper"], sizes["sweeper"] = settings.sweeper_database_url, 1
    return await Database.open(urls, sizes)


def _bind(host: str, port: int) -> socket.socket:
    """Take the address; connections are refused until the server listens."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {error.strerror}. Set AIOPS_HOST and AIOPS_PORT to a free address."
        ) from None
    bound.set_inheritable(False)
    return bound
