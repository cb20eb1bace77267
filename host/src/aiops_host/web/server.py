"""The host process: uvicorn with deadlines, bounded headers and connections, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
import uvloop

from aiops_core.errors import AiopsError
from aiops_core.plugins import PluginManager
from aiops_host.data.session import Database
from aiops_host.data.wakeup import NoWaker, Waker
from aiops_host.settings import Settings
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app
from aiops_host.web.protocol import deadline_protocol

log = logging.getLogger(__name__)

READ_SECONDS = 10.0
MAX_CONNECTIONS = 2000
KEEP_ALIVE_SECONDS = 15
DRAIN_SECONDS = 20
BACKLOG = 2048

Listening = Callable[[str, int], None]


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
        """Drain on the first SIGTERM or SIGINT, cut off on the second; uvicorn would raise the signal anew at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: Any = None) -> None:
        """Open the port, then say so."""
        await super().startup(sockets=sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("listening on http://%s:%s", host, port)
        if self._listening is not None:
            self._listening(host, port)

    def _log_started_message(self, listeners: Any) -> None:
        """Leave it to :meth:`startup`."""


def serve(
    settings: Settings,
    plugins: PluginManager,
    *,
    waker: Waker | None = None,
    listening: Listening | None = None,
    read_seconds: float = READ_SECONDS,
) -> int:
    """Run the host until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        settings: The host's settings; port 0 takes a free one.
        plugins: The installed plugins.
        waker: What carries wake-ups to the worker.
        listening: Called with host and port once connections are accepted.
        read_seconds: Longest time for one request's head and body.

    Returns:
        The exit code.

    Raises:
        AiopsError: Refused to start: a setting, the key, a database role or the plugins.
    """
    settings.require("database_url", "intake_database_url", "key_file")
    vault = Vault.load(settings.key_file)
    return uvloop.run(_serve(settings, plugins, vault, waker or NoWaker(), listening, read_seconds))


async def _serve(
    settings: Settings,
    plugins: PluginManager,
    vault: Vault,
    waker: Waker,
    listening: Listening | None,
    read_seconds: float,
) -> int:
    intake = max(2, settings.pool_size // 2)
    database = await Database.open(
        {"app": settings.database_url, "intake": settings.intake_database_url},
        {"app": max(2, settings.pool_size - intake), "intake": intake},
    )
    config = uvicorn.Config(
        create_app(settings, plugins, database, vault, waker),
        host=settings.host,
        port=settings.port,
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
    server = Server(config, listening)
    try:
        await server.serve()
    except SystemExit:
        raise CannotListen(f"Cannot listen on {settings.host}:{settings.port}; the log says why.") from None
    return 0
