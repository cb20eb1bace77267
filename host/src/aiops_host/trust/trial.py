"""A plugin's modules imported on trial: unpacked into a folder of their own, in a child process with limits.

The child has a clean environment, sees what Python's audit events show, and is ended with all it started. A determined
author gets around it; a plugin that is installed runs with the host's rights.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

CHILD = Path(__file__).with_name("trial_child.py")
MOST_SAID = 1 << 20
DEEDS = {
    "network": "reaches into the network",
    "process": "starts a process",
    "thread": "leaves a thread running",
    "signal": "sends a signal",
    "write": "writes outside its folder",
    "environment": "changes the environment",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one import may take. ``processes`` are those beyond what runs already; root is not held to it."""

    seconds: float = 60.0
    cpu_seconds: int = 20
    memory_bytes: int = 2 << 30
    file_bytes: int = 16 << 20
    processes: int = 32


LIMITS = Limits()


class Said(msgspec.Struct, frozen=True):
    """A line of the child's."""

    kind: Literal[
        "network",
        "process",
        "thread",
        "signal",
        "write",
        "environment",
        "imported",
        "failed",
        "missing",
        "memory",
    ]
    what: str = ""


def try_imports(files: Mapping[str, bytes], modules: Sequence[str], limits: Limits) -> list[str]:
    """Import modules of a wheel, each in a process of its own; return what is wrong with them, one sentence each.

    Args:
        files: The wheel's files by the place they would be installed at.
        modules: Their names.
        limits: What each import may take.
    """
    if not modules:
        return []
    with tempfile.TemporaryDirectory(prefix="aiops-trial-", ignore_cleanup_errors=True) as folder:
        root = Path(folder).resolve()
        try:
            _unpack(files, root)
        except OSError as error:
            return [f"It cannot be unpacked: {error.strerror}."]
        return [reason for module in modules if (reason := _try(module, root, limits))]


def _unpack(files: Mapping[str, bytes], root: Path) -> None:
    for place in ("home", "work"):
        (root / place).mkdir()
    for place, content in files.items():
        target = root / "wheel" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _try(module: str, root: Path, limits: Limits) -> str:
    """Return what is wrong with a module, empty if nothing."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0):
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(CHILD), _order(module, root, writing, limits)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=root / "work",
                env=_environment(root),
                pass_fds=[writing],
                start_new_session=True,
            )
        finally:
            os.close(writing)
        lines, late = _listen(reading, time.monotonic() + limits.seconds)
        # Before it is waited for, so that its number is still its own.
        os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
    return _sentence(module, _parsed(lines), limits, None if late else code)


def _order(module: str, root: Path, report: int, limits: Limits) -> str:
    path = [str(root / "wheel"), *(entry for entry in sys.path if os.path.isabs(entry))]
    bounds = {
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NPROC": _running() + limits.processes,
    }
    order = {"module": module, "report": report, "folder": str(root / "work"), "path": path, "limits": bounds}
    return msgspec.json.encode(order).decode()


def _environment(root: Path) -> dict[str, str]:
    """Return all that the child is told of its surroundings: nothing of ours."""
    return {"HOME": str(root / "home"), "TMPDIR": str(root / "work"), "PATH": os.defpath, "LC_ALL": "C.UTF-8"}


def _running() -> int:
    """Return how many tasks there are on this machine: no user has more."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def _listen(report: int, end: float) -> tuple[bytes, bool]:
    """Return what the child says until it is through or ends, and whether its time was up."""
    said = b""
    while len(said) < MOST_SAID:
        left = end - time.monotonic()
        if left <= 0 or not select.select([report], [], [], left)[0]:
            return said, True
        more = os.read(report, MOST_SAID)
        said += more
        if not more or any(line.kind not in DEEDS for line in _parsed(said)):
            break
    return said, False


def _parsed(said: bytes) -> list[Said]:
    """Return the whole lines; what is no line of the child's was said by the plugin in its place."""
    found = []
    for line in said.split(b"\n")[:-1]:
        try:
            found.append(msgspec.json.decode(line, type=Said))
        except msgspec.MsgspecError:
            found.append(Said("failed", "it wrote into what its import was to be reported by"))
    return found


def _sentence(module: str, said: Sequence[Said], limits: Limits, code: int | None) -> str:
    """Return what the trial showed: what was tried first, else how the import ended; empty if well."""
    for line in said:
        if line.kind in DEEDS:
            return f"{module} {DEEDS[line.kind]} when it is imported: {_shown(line.what)}."
    match said[0] if said else None:
        case None:
            how = _ended(limits, code)
        case Said("imported"):
            return ""
        case Said("memory"):
            how = f"needs more than {limits.memory_bytes >> 20} MiB of memory to be imported"
        case Said("missing", what):
            how = f"does not import here: {_shown(what)}; check it where all it requires is installed"
        case Said(_, what):
            how = f"does not import: {_shown(what)}"
    return f"{module} {how}."


def _ended(limits: Limits, code: int | None) -> str:
    """Return how a child ended that said nothing; ``None`` for one whose time was up."""
    if code is None:
        return f"was not imported within {limits.seconds:g} seconds"
    if code == -signal.SIGXCPU:
        return f"takes more than {limits.cpu_seconds} seconds of processor time to be imported"
    return f"ends the process that imports it, with {code}"


def _shown(text: str) -> str:
    """Return a plugin's words as one line that a terminal may be given."""
    return "".join(c if c.isprintable() else "?" for c in text).rstrip(".")
