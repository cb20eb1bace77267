"""The product's commands as child processes of a test, with the line of JSON each prints when it is ready."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 60
STOP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Running:
    """A command that is ready; ``said`` is what it printed."""

    process: subprocess.Popen[bytes]
    said: dict[str, Any]
    log: Path

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running(command: str, environment: Mapping[str, str], log: Path) -> Iterator[Running]:
    """Run ``aiops <command>`` until the block ends; a process that does not stop in time is killed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIOPS_", "BOKEH_"))}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "aiops_host.cli.main", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**clean, **environment},
        )
    try:
        yield Running(process, json.loads(_first_line(process, log)), log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _first_line(process: subprocess.Popen[bytes], log: Path) -> bytes:
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(READY_SECONDS):
            raise AssertionError(f"not ready within {READY_SECONDS} s: {log.read_text()[-2000:]}")
    line = process.stdout.readline()
    assert line, f"ended while starting: {log.read_text()[-2000:]}"
    return line
