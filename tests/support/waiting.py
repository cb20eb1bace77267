"""Bounded waits that say, when they end in vain, what was waited for and what the logs say."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

PAUSE_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
TAIL_LINES = 15

Found = TypeVar("Found")
Logs = Callable[[], Iterable[Path]]


def no_logs() -> Iterable[Path]:
    """Return nothing to show."""
    return ()


def wait_for(
    look: Callable[[], Found | None], what: str, *, seconds: float = PATIENCE_SECONDS, logs: Logs = no_logs
) -> Found:
    """Look again and again until something is found, and return it.

    Raises:
        AssertionError: It took too long; the message ends with the ends of the logs.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}{tails(logs())}"
        time.sleep(PAUSE_SECONDS)
    return found


def tails(logs: Iterable[Path]) -> str:
    """Return the end of each log under its name."""
    shown = ""
    for log in sorted(logs):
        lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        shown += f"\n--- {log.name}\n" + "\n".join(lines)
    return shown
