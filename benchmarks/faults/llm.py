"""A language model's server that misbehaves in one way."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

MODES = ("429", "500", "timeout", "hang", "garbage", "endless")
RETRY_AFTER = 2
LATE_SECONDS = 15.0
_STATUS = re.compile(r"VPN drops every [a-z ]+[0-9]+")


class Model:
    """The server; ``asked`` holds when each ticket's title was asked about."""

    def __init__(self, mode: str) -> None:
        """Take one of :data:`MODES`."""
        self.mode = mode
        self.url = ""
        self.asked: dict[str, list[float]] = defaultdict(list)
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Misbehave on one connection until it closes."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                self._note(await _request(reader))
                await self._misbehave(writer)
        writer.close()

    async def close(self) -> None:
        """End every connection."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def early(self) -> int:
        """Return how often a title was asked about before the time that 429 named had passed."""
        gaps = [b - a for times in self.asked.values() for a, b in pairwise(times)]
        return sum(gap < RETRY_AFTER for gap in gaps)

    def _note(self, body: bytes) -> None:
        found = _STATUS.search(body.decode(errors="replace"))
        self.asked[found[0] if found else ""].append(time.monotonic())

    async def _misbehave(self, writer: asyncio.StreamWriter) -> None:
        if self.mode == "hang":
            await asyncio.Event().wait()
        if self.mode == "timeout":
            await asyncio.sleep(LATE_SECONDS)
            raise ConnectionResetError
        if self.mode == "endless":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        status = {"429": 429, "500": 500}.get(self.mode, 200)
        body = b"\x00\xff<html>not what was asked for" if self.mode == "garbage" else json.dumps(_ERROR).encode()
        wait = f"retry-after: {RETRY_AFTER}\r\n" if status == 429 else ""  # noqa: PLR2004 - the status itself
        head = f"HTTP/1.1 {status} stub\r\ncontent-type: application/json\r\n{wait}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


_ERROR = {"error": {"message": "no", "type": "stub", "code": None}}


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    found = re.search(r"content-length: (\d+)", head)
    return await reader.readexactly(int(found[1]) if found else 0)


@asynccontextmanager
async def model(mode: str) -> AsyncIterator[Model]:
    """Run a misbehaving server on a random loopback port inside the block."""
    made = Model(mode)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
