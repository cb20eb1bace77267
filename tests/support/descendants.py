"""All processes that came of one, found in /proc, so that a test can prove that none is left."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PARENT, STARTED = 1, 19  # fields of /proc/<pid>/stat after the command, see proc(5)


@dataclass(frozen=True, slots=True)
class Process:
    """One process; ``started`` tells it from a later one with the same id."""

    pid: int
    started: int
    command: str

    def is_alive(self) -> bool:
        """Tell whether it runs; one that only waits to be reaped does not."""
        fields = _stat(self.pid)
        return fields is not None and int(fields[STARTED]) == self.started and fields[0] not in "ZX"


def descendants(root: int) -> set[Process]:
    """Return the living processes that ``root`` started, directly or through others, without itself."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields is not None:
            children[int(fields[PARENT])].append(int(folder.name))
    found: set[Process] = set()
    todo = [root]
    while todo:
        for pid in children[todo.pop()]:
            todo.append(pid)
            found |= _process(pid)
    return found


def marked(mark: str) -> set[Process]:
    """Return the living processes whose environment contains ``mark``."""
    found: set[Process] = set()
    for folder in PROC.glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # another user's, or gone meanwhile
        if mark.encode() in environment:
            found |= _process(int(folder.name))
    return found


def _process(pid: int) -> set[Process]:
    fields = _stat(pid)
    if fields is None:
        return set()
    try:
        command = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return set()
    process = Process(pid, int(fields[STARTED]), command)
    return {process} if process.is_alive() else set()


def _stat(pid: int) -> list[str] | None:
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
