"""The product's parts as real processes that can be killed, and a supervisor that starts them again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

START_SECONDS = 300
STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Death:
    """A process that ended, at ``time.time()``."""

    name: str
    pid: int
    at: float
    killed: bool


@dataclass(slots=True)
class Process:
    """One part of the product; :meth:`start` may be called again after its death. ``metrics_port`` is 0 without any."""

    name: str
    environment: Mapping[str, str]
    log: Path
    deaths: list[Death]
    metrics_port: int = 0
    process: asyncio.subprocess.Process | None = None
    ready_at: float = 0.0
    _watcher: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Start it and wait until it says that it is ready, or has ended."""
        with self.log.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.faults.launch", self.name),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**plain_environment(), **self.environment, "AIOPS_METRICS_PORT": str(self.metrics_port)},
                cwd=Path(__file__).parents[2],
            )
        self._watcher = asyncio.create_task(self._watch(self.process))
        output = cast("asyncio.StreamReader", self.process.stdout)
        async with asyncio.timeout(START_SECONDS):
            if not await output.readline():
                await self.process.wait()
        self.ready_at = time.time()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.returncode is None

    @property
    def pid(self) -> int:
        """The process id, 0 before the first start."""
        return self.process.pid if self.process else 0

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def ended(self, within: float) -> bool:
        """Wait for its end; False when it did not end in time."""
        if self.process is None:
            return True
        try:
            async with asyncio.timeout(within):
                await self.process.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End it, at last by SIGKILL."""
        if not self.alive:
            return
        self.kill(signal.SIGTERM)
        if not await self.ended(STOP_SECONDS):
            self.kill()
            await self.ended(STOP_SECONDS)
        if self._watcher is not None:
            await self._watcher

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self.deaths.append(Death(self.name, process.pid, time.time(), killed=code == -signal.SIGKILL))


async def revive(parts: list[Process]) -> None:
    """Start again, as a supervisor does, whatever part has died; until cancelled."""

    async def keep(part: Process) -> None:
        while True:
            if not part.alive:
                await part.start()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(keep(part) for part in parts))


def plain_environment() -> dict[str, str]:
    """Return this process's environment without the product's and the bench's variables."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIOPS_", "BENCH_"))}
