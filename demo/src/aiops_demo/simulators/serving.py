"""A simulator on a port: the Litestar application with the control surface, run by uvicorn."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get, post, route
from litestar.handlers import HTTPRouteHandler
from uvicorn.protocols.http.h11_impl import H11Protocol

from aiops_demo.simulators.base import Behaviour, Call, Drop, VendorSimulator
from aiops_demo.simulators.reading import HEADERS, page_of

GRACE_SECONDS = 1
METHODS: list[Literal["GET", "POST", "PUT", "PATCH", "DELETE"]] = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def application(simulator: VendorSimulator) -> Litestar:
    """Return the simulator's ASGI application."""

    @route(["/", "/{path:path}"], http_method=METHODS)
    async def vendor(request: Request[Any, Any, Any]) -> Response[bytes]:
        call = await _call(request)
        if call.method == "GET" and (reading := simulator.reading(call)):
            return Response(page_of(reading), status_code=200, headers=HEADERS)
        try:
            answer = await simulator.answer(call)
        except Drop:
            request.scope["state"]["transport"].abort()
            return Response(b"")
        media_type = answer.headers.get("Content-Type", "application/json")
        return Response(
            answer.encoded(), status_code=answer.status, headers=dict(answer.headers), media_type=media_type
        )

    async def close() -> None:
        await simulator.aclose()

    handlers = [*_control(simulator), vendor]
    return Litestar(handlers, openapi_config=None, logging_config=None, on_shutdown=[close])


def _control(simulator: VendorSimulator) -> list[HTTPRouteHandler]:
    """Return the routes by which tests and the demo drive a simulator, below ``/_/``."""

    @get("/_/posted")
    async def posted() -> Response[bytes]:
        return _json(simulator.posted)

    @get("/_/stats")
    async def stats() -> Response[bytes]:
        statuses = {str(status): count for status, count in simulator.statuses.items()}
        total = sum(simulator.stats.values())
        return _json({"total": total, "calls": dict(simulator.stats), "statuses": statuses})

    @post("/_/tickets")
    async def add_ticket(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            ticket = msgspec.json.decode(await request.body(), type=dict[str, Any])
        except msgspec.DecodeError as error:
            return _json({"error": f"send one ticket as a JSON object: {error}"}, 400)
        return _json(simulator.add_ticket(ticket), 201)

    @post("/_/behave")
    async def behave(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            behaviour = msgspec.json.decode(await request.body() or b"{}", type=Behaviour)
        except msgspec.DecodeError as error:
            return _json({"error": str(error)}, 400)
        simulator.behave(behaviour)
        return _json(behaviour)

    return [posted, stats, add_ticket, behave]


@asynccontextmanager
async def running(simulator: VendorSimulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the simulator in a thread and give its address; port 0 takes a free one."""
    listener = listen(simulator, host, port)
    server = uvicorn.Server(_config(simulator))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield simulator.url
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


def serve(simulator: VendorSimulator, listener: socket.socket) -> None:
    """Serve the simulator on a socket of :func:`listen` until SIGINT or SIGTERM."""
    uvicorn.Server(_config(simulator)).run(sockets=[listener])


def listen(simulator: VendorSimulator, host: str, port: int) -> socket.socket:
    """Return a listening socket and tell the simulator its address; connections wait until it is served."""
    # With the protocol left at 0, asyncio does not switch Nagle's algorithm off: 44 ms per call.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    simulator.url = f"http://{host}:{listener.getsockname()[1]}"
    return listener


def _config(simulator: VendorSimulator) -> uvicorn.Config:
    return uvicorn.Config(
        application(simulator),
        http=_Protocol,
        loop="asyncio",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _json(content: Any, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


async def _call(request: Request[Any, Any, Any]) -> Call:
    return Call(
        method=str(request.method),
        path=request.scope["path"],
        query=dict(request.query_params),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.body(),
    )


class _Protocol(H11Protocol):
    """Hands the connection's transport to the application, which may have to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)
