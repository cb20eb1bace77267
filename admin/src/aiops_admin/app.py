"""The dashboard's process: its pages, its plain handlers, its start and its end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn
from panel.io.server import Server, get_server
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError

from aiops_admin.account import AccountHandler
from aiops_admin.auth import HostAuth
from aiops_admin.client import ApiAway
from aiops_admin.downloads import ExportHandler
from aiops_admin.headers import CompressAssets, SecurityHeaders
from aiops_admin.links import ForgotHandler, InvitationHandler, PasswordHandler
from aiops_admin.login import (
    HOME,
    CodeHandler,
    HomeHandler,
    LoginHandler,
    LogoutHandler,
    NotFoundHandler,
    answer_away,
)
from aiops_admin.pages import connections, deliveries, health, models, people, plugins, runs, tenants
from aiops_admin.pages.frame import TITLE, Frame, page
from aiops_admin.parts import XSRF_COOKIE, Parts, make_parts
from aiops_admin.provider import AwayHandler, BackHandler
from aiops_admin.settings import AdminSettings

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
PAGES: dict[str, Callable[[Frame], Any]] = {
    HOME: deliveries.build,
    "/runs": runs.build,
    "/connections": connections.build,
    "/models": models.build,
    "/people": people.build,
    "/tenants": tenants.build,
    "/health": health.build,
    "/plugins": plugins.build,
}
"""Address and builder of each page; addresses are flat, what they are about is in their query."""
MAX_MESSAGE_BYTES = 1024 * 1024
PORT_TRIES = 5
QUIET = ("httpx", "httpcore", "bokeh", "tornado.access", "panel", "asyncio")
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class HealthHandler(RequestHandler):
    """``/health/live``: the process answers. ``/health/ready``: so does the host."""

    def initialize(self, parts: Parts | None = None) -> None:
        """Take the parts if the host is to be asked."""
        self._parts = parts

    async def get(self) -> None:
        """Answer 200 or 503."""
        self.set_header("Cache-Control", "no-store")
        try:
            if self._parts is not None:
                await self._parts.api.live()
        except ApiAway:
            self.set_status(503)
            self.finish({"status": "not-ready", "detail": "The host does not answer."})
            return
        self.finish({"status": "ready" if self._parts else "live"})


class IconHandler(RequestHandler):
    """The icon of the browser's tab."""

    def get(self) -> None:
        """Answer the image."""
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", "max-age=86400")
        self.finish((ASSETS / "favicon.svg").read_bytes())


def make_server(parts: Parts, port: int) -> Server:
    """Return the server, listening but not yet answering.

    Raises:
        OSError: The address is in use or not ours.
    """
    settings = parts.settings
    secure = settings.cookie_secure
    return get_server(
        {address: page(parts, address, build) for address, build in PAGES.items()},
        port=port,
        address=settings.admin_host,
        websocket_origin=settings.origins(port),
        title=TITLE,
        location=False,
        auth_provider=HostAuth(parts.people, parts.pages, parts.cookie, answer_away),
        xsrf_cookies=True,
        xsrf_cookie_name=XSRF_COOKIE,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax", "secure": secure},
        # Bokeh would write every cookie and header, HttpOnly ones included, into the page.
        include_cookies=[],
        include_headers=[],
        transforms=[SecurityHeaders, CompressAssets],
        extra_patterns=_plain_handlers(parts),
        default_handler_class=NotFoundHandler,
        default_handler_args={"parts": parts},
        websocket_max_message_size=MAX_MESSAGE_BYTES,
    )


def run(settings: AdminSettings) -> None:
    """Serve until SIGTERM or SIGINT; prints one line of JSON with the address once it answers.

    Raises:
        OSError: The address is in use or not ours.
    """
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr, format=LOG_FORMAT)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    pn.extension(reconnect=True)
    loop = IOLoop.current()
    parts = make_parts(settings)
    server, port = _listen(parts)
    server.start()
    loop.asyncio_loop.set_exception_handler(_log_unless_closed)  # type: ignore[attr-defined]
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.asyncio_loop.add_signal_handler(number, loop.stop)  # type: ignore[attr-defined]
    loop.add_callback(_announce, settings.public_url(port))
    loop.start()
    log.info("stopping")
    server.stop(wait=False)
    loop.run_sync(parts.api.aclose)


def _listen(parts: Parts) -> tuple[Server, int]:
    """Listen on the wanted port, or on a free one: the allowed origins hold the port, so it is chosen before."""
    wanted = parts.settings.admin_port
    if wanted:
        return make_server(parts, wanted), wanted
    for attempt in range(PORT_TRIES):
        port = _free_port(parts.settings.admin_host)
        try:
            return make_server(parts, port), port
        except OSError:
            if attempt == PORT_TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def _plain_handlers(parts: Parts) -> list[tuple[Any, ...]]:
    return [
        ("/", HomeHandler, {"parts": parts}),
        ("/login", LoginHandler, {"parts": parts}),
        ("/login/code", CodeHandler, {"parts": parts}),
        ("/login/provider", AwayHandler, {"parts": parts}),
        ("/login/oidc", BackHandler, {"parts": parts}),
        ("/invitation", InvitationHandler, {"parts": parts}),
        ("/password", PasswordHandler, {"parts": parts}),
        ("/forgot", ForgotHandler, {"parts": parts}),
        ("/account", AccountHandler, {"parts": parts}),
        ("/logout", LogoutHandler, {"parts": parts}),
        ("/export", ExportHandler, {"parts": parts}),
        ("/health/live", HealthHandler),
        ("/health/ready", HealthHandler, {"parts": parts}),
        ("/favicon.svg", IconHandler),
    ]


def _log_unless_closed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of a browser that left while it was being written to."""
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _announce(url: str) -> None:
    print(json.dumps({"admin_url": url}), flush=True)
    log.info("listening at %s", url)
