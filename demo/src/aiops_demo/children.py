"""Child processes of the demo; each ends when this process ends, because its standard input then closes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 120.0


class ChildFailed(Exception):
    """A child process of the demo failed."""


@dataclass(slots=True)
class Child:
    """One Python module run as a process."""

    name: str
    log: Path
    process: asyncio.subprocess.Process
    _said: asyncio.Queue[str | None]
    _reading: asyncio.Task[None]

    @classmethod
    async def start(cls, name: str, *arguments: str, environment: Mapping[str, str], log: Path) -> Child:
        """Start ``python -m <arguments>`` with piped standard input and output, in a session of its own."""
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                start_new_session=True,
            )
        said: asyncio.Queue[str | None] = asyncio.Queue()
        return cls(name, log, process, said, asyncio.create_task(_read(process, said)))

    async def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None  # noqa: S101 - piped
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def line(self) -> str | None:
        """Return its next line of output, ``None`` at its end."""
        line = await self._said.get()
        if line is None:
            self._said.put_nowait(None)
        return line

    async def lines(self, say: Callable[[str], None]) -> str:
        """Pass every line on to ``say`` but the last, which is returned.

        Raises:
            ChildFailed: It ended with another exit code than 0.
        """
        last = ""
        while (line := await self.line()) is not None:
            if last:
                say(last)
            last = line
        if code := await self.process.wait():
            raise ChildFailed(f"{self.name} ended with exit code {code}; it said: {last or 'nothing'}")
        return last

    async def stop(self) -> None:
        """Close its standard input and wait for its end; kill it when that takes too long."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        await self._reading


async def _read(process: asyncio.subprocess.Process, said: asyncio.Queue[str | None]) -> None:
    """Take in all output at once, so that the child never waits for a reader."""
    assert process.stdout is not None  # noqa: S101 - piped
    while line := await process.stdout.readline():
        said.put_nowait(line.decode().rstrip("\n"))
    said.put_nowait(None)
