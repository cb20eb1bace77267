"""The parts of an installation as child processes: started, watched, restarted, stopped, never left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from aiops_core.errors import AiopsError

READY_SECONDS = 60.0
STOP_SECONDS = 110.0
MOST_ENDS = 5
ENDS_SPAN_SECONDS = 60.0
KILLED = 128  # above it, a shell's status names the signal that ended the command

# Ends the part when the pipe on its standard input closes, which the kernel does however we end. The part's id is the
# first line, what the part prints follows.
_KEEPER = """
exec 3<&0 </dev/null
"$@" 3<&- & part=$!
trap '' HUP INT TERM
echo "$part"
{ while read -r _ <&3; do :; done; kill -TERM "$part"; } >/dev/null 2>&1 & watch=$!
exec 3<&- >/dev/null
wait "$part"; status=$?
kill -KILL "$watch" 2>/dev/null
exit "$status"
"""


class PartFailed(AiopsError):
    """A part of the installation did not start, or does not stay up."""


class PartEnded(PartFailed):
    """A part of the installation ended before it was ready."""


@dataclass(kw_only=True)
class Part:
    """One ``aiops`` command kept running. ``said`` is the line of JSON it printed when it was ready."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    pid: int = 0
    said: dict[str, Any] = field(default_factory=dict)
    _keeper: subprocess.Popen[bytes] | None = None
    _ends: list[float] = field(default_factory=list)
    _begins_at: int = 0

    def start(self) -> None:
        """Start the part; :meth:`await_ready` waits for it."""
        command = [sys.executable, "-m", "aiops_host.cli.main", self.name, *self.arguments]
        inherited = {name: value for name, value in os.environ.items() if name != "AIOPS_ENV_FILE"}
        with self.log.open("ab") as log:
            self._begins_at = log.tell()
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", _KEEPER, "keeper", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=inherited | dict(self.environment),
                start_new_session=True,
            )

    def await_ready(self) -> None:
        """Wait until the part has said that it is ready.

        Raises:
            PartEnded: It ended; the message shows the end of its log.
            PartFailed: It said nothing for a minute.
        """
        end = time.monotonic() + READY_SECONDS
        self.pid = int(self._line(end))
        try:
            self.said = msgspec.json.decode(self._line(end), type=dict[str, Any])
        except msgspec.MsgspecError:
            raise self._failed("printed something unexpected") from None

    def has_ended(self) -> bool:
        """Tell whether the part is not running."""
        return self._keeper is None or self._keeper.poll() is not None

    def restart(self) -> None:
        """Start the part again after it ended; one that ends while starting is to be started again like any other.

        A part that something else killed is started however often that happens.

        Raises:
            PartFailed: It ended by itself too often within a minute, or is not ready in time.
        """
        if self._keeper is not None and self._keeper.wait() <= KILLED:
            self._ends = [at for at in self._ends if time.monotonic() - at < ENDS_SPAN_SECONDS]
            self._ends.append(time.monotonic())
        if len(self._ends) >= MOST_ENDS:
            raise self._failed(f"ended {len(self._ends)} times within a minute")
        self._forget()
        self.start()
        with contextlib.suppress(PartEnded):
            self.await_ready()

    def ask_to_stop(self) -> None:
        """Let the part end; harmless when it has."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def stop(self) -> None:
        """Let the part end and wait for it; kill it when it takes too long."""
        if self._keeper is None:
            return
        self.ask_to_stop()
        try:
            self._keeper.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, 9)
            self._keeper.wait()
        self._forget()

    def _forget(self) -> None:
        if self._keeper is not None:
            for pipe in (self._keeper.stdin, self._keeper.stdout):
                if pipe is not None:
                    pipe.close()
            self._keeper.wait()
        self._keeper = None

    def _line(self, end: float) -> bytes:
        assert self._keeper is not None  # noqa: S101 - started before
        assert self._keeper.stdout is not None  # noqa: S101
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._keeper.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise self._failed(f"was not ready within {READY_SECONDS:g} s")
                byte = os.read(self._keeper.stdout.fileno(), 1)
                if not byte:
                    raise self._failed("ended while starting", PartEnded)
                line += byte
        return line

    def _failed(self, what: str, kind: type[PartFailed] = PartFailed) -> PartFailed:
        try:
            said = self.log.read_bytes()[self._begins_at :].decode(errors="replace")
            tail = " ".join(said.split("\n")[-6:]).strip()
        except OSError:
            tail = ""
        return kind(f"aiops {self.name} {what}. The end of {self.log}: {tail or 'nothing'}")
