"""The peer: the stack a user would otherwise pick, run by its own bench beside ours."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 900
STAND_IN_TICKET = "VPN drops and reconnects"
STAND_IN_TICKETS = 2400


@dataclass(frozen=True, slots=True)
class Peer:
    """The peer's folder, which is only read, and the Python that has its packages."""

    folder: Path
    python: Path

    @classmethod
    def prepare(cls, folder: Path) -> Peer:
        """Install the peer's packages into a cache folder, once for each list of them."""
        folder = folder.resolve()
        requirements = folder / "requirements.txt"
        named = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
        home = cache_folder() / f"peer-{named}"
        python = home / "bin" / "python"
        if not (home / "complete").exists():
            print(f"installing the peer's packages into {home}", file=sys.stderr, flush=True)
            venv.create(home, clear=True, with_pip=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", str(requirements)], check=True, stdout=sys.stderr, cwd=home)
            (home / "complete").touch()
        return cls(folder, python)

    def bench(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """Run the peer's bench and return its line of JSON.

        Raises:
            RuntimeError: It failed; its own words stand in the message.
        """
        done = subprocess.run(
            [str(self.python), str(self.folder / "bench.py")],
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the peer's bench failed: {done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    @contextmanager
    def stubs(self, port: int, *, llm_ms: int, itsm_ms: int) -> Iterator[str]:
        """Run the peer's ticketing system and LLM, comments with their author, and give their address."""
        here = Path(__file__).parent
        settings = {"LLM_MS": str(llm_ms), "ITSM_MS": str(itsm_ms), "PYTHONPATH": str(self.folder)}
        program = ["uvicorn", "authored:app", "--app-dir", str(here), "--port", str(port), "--log-level", "error"]
        with running([str(self.python), "-m", *program], self._environment(settings), self.folder):
            yield f"http://127.0.0.1:{port}"

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIOPS_", "PEER_", "PYTHON"))}
        return {**kept, **more, "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str] | None, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in ``folder`` while the block lasts."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def past_tickets(folder: Path | None) -> list[str]:
    """Return the history the peer's bench loads: the tickets beside its folder, or its stand-ins for them."""
    data = folder.resolve().parent.parent / "data" / "tickets_dev.csv" if folder else None
    if data is None or not data.exists():
        return [STAND_IN_TICKET] * STAND_IN_TICKETS
    with data.open(newline="", encoding="utf-8") as file:
        return [row["description"] for row in csv.DictReader(file)]


def cache_folder() -> Path:
    """Return where the peer's packages are kept between runs."""
    chosen = os.environ.get("AIOPS_BENCH_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "aiops-bench"
    base.mkdir(parents=True, exist_ok=True)
    return base
