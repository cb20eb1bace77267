"""Import one module under watch and limits, and say what it tried: a script for ``trial``, run in a process of its own.

It needs nothing but the standard library and says one JSON object per line. What audit events do not show, and what runs
only later, it does not see.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import resource
import sys
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

MOST_TEXT = 300
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

NETWORK = {
    "socket.connect": 1,
    "socket.bind": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}
PROCESS = {
    "subprocess.Popen": 1,
    "os.system": 0,
    "os.exec": 0,
    "os.fork": None,
    "os.forkpty": None,
    "os.posix_spawn": 0,
    "os.spawn": 1,
    "pty.spawn": 0,
}
SIGNAL = {"os.kill": 0, "os.killpg": 0}
ENVIRONMENT = {"os.putenv": 0, "os.unsetenv": 0}
DEEDS: Mapping[str, tuple[str, int | None]] = {
    event: (kind, place)
    for kind, events in (
        ("network", NETWORK),
        ("process", PROCESS),
        ("signal", SIGNAL),
        ("environment", ENVIRONMENT),
    )
    for event, place in events.items()
}
CHANGES: Mapping[str, tuple[int, ...]] = {
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
    "os.setxattr": (0,),
    "sqlite3.connect": (0,),
}
"""Events that change files, with which of their arguments are the paths."""


class Watch:
    """Says what the module tries, and has it fail."""

    def __init__(self, report: int, folder: str) -> None:
        """Take where to say it, and the only folder that may be written to."""
        self._report = report
        self._folder = folder

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an audit event: https://docs.python.org/3/library/audit_events.html."""
        if event in DEEDS:
            kind, place = DEEDS[event]
            self._refuse(kind, event if place is None else arguments[place])
        elif event == "open":
            path, mode, flags = arguments
            if any(letter in (mode or "") for letter in "wax+") or flags & WRITES:
                self._write(path)
        elif event in CHANGES:
            for place in CHANGES[event]:
                self._write(arguments[place])

    def say(self, kind: str, what: object = "") -> None:
        """Say one thing."""
        line = json.dumps({"kind": kind, "what": _text(what)[:MOST_TEXT]})
        os.write(self._report, line.encode() + b"\n")

    def _write(self, path: object) -> None:
        if isinstance(path, int) or path in (os.devnull, ":memory:"):
            return
        place = os.path.realpath(_text(path))
        if not place.startswith(self._folder + os.sep):
            self._refuse("write", place)

    def _refuse(self, kind: str, what: object) -> NoReturn:
        self.say(kind, what)
        raise PermissionError(errno.EPERM, "A plugin's module declares only")


def _text(what: object) -> str:
    if isinstance(what, bytes):
        return os.fsdecode(what)
    if isinstance(what, tuple | list):
        return " ".join(_text(part) for part in what)
    return str(what)


def limit(limits: Mapping[str, int]) -> None:
    """Bound what this process may use, without a way back."""
    for name, most in {**limits, "RLIMIT_CORE": 0}.items():
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # At both limits of processor time at once the kernel kills without saying why.
        resource.setrlimit(which, (soft, soft + 1 if name == "RLIMIT_CPU" and hard != soft else soft))


def main(order: str) -> NoReturn:
    """Import the module that the order names and say how that went."""
    given = json.loads(order)
    watch = Watch(given["report"], given["folder"])
    limit(given["limits"])
    sys.path[:] = given["path"]
    sys.addaudithook(watch)
    try:
        importlib.import_module(given["module"])
    except MemoryError:
        watch.say("memory")
    except BaseException as error:  # isolation: whatever the plugin raises, or exits with, is what is asked for
        missing = isinstance(error, ModuleNotFoundError)
        watch.say("missing" if missing else "failed", f"{type(error).__name__}: {error}")
    else:
        if left := threading.enumerate()[1:]:
            watch.say("thread", ", ".join(thread.name for thread in left))
        watch.say("imported")
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
