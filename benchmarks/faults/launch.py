"""``python -m benchmarks.faults.launch``: a part of the product that dies at armed moments, or lacks a guard.

The product has no switch for either: this launcher replaces functions before it calls the product's own entry point.
A file in the folder ``BENCH_ARMED`` names a failpoint and holds a number: the process that reaches it that often takes
the file away and kills itself by SIGKILL. ``BENCH_WITHOUT`` takes a guard away, ``BENCH_LOST_WAKEUPS=n`` loses every
n-th wake-up.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID


def arm(folder: Path) -> None:
    """Die at the failpoints that are armed."""
    from aiops_host import failpoints  # noqa: PLC0415 - imported only to be replaced

    times: Counter[str] = Counter()

    def die(name: str) -> None:
        file = folder / name
        try:
            nth = int(file.read_text())
        except FileNotFoundError:
            return
        times[name] += 1
        if times[name] < nth:
            return
        try:
            file.rename(folder.parent / f"died-{name}")
        except FileNotFoundError:  # another process was first
            return
        os.kill(os.getpid(), signal.SIGKILL)

    failpoints.reached = die


def lose_wakeups(every: int) -> None:
    """Lose every n-th wake-up, as a host does that dies between commit and wake-up."""
    from aiops_host.web.waking import Wakes  # noqa: PLC0415 - as above

    announced, announce = count(1), Wakes.announce

    def lossy(self: Wakes, tenant_id: UUID, delivery_id: UUID) -> None:
        if next(announced) % every:
            announce(self, tenant_id, delivery_id)

    Wakes.announce = lossy  # type: ignore[method-assign]


def without_sweeper() -> None:
    """Work is taken up by wake-ups only, and never twice."""
    from aiops_host.data import claims  # noqa: PLC0415 - as above
    from aiops_host.work.dispatch import Dispatcher  # noqa: PLC0415

    async def no_poll(_self: Dispatcher) -> None:
        import asyncio  # noqa: PLC0415

        await asyncio.Event().wait()

    Dispatcher.poll = no_poll  # type: ignore[method-assign, assignment]
    claims._DUE = replaced(claims._DUE, "d.state = 'running' and d.lease_until < now()", "false")


def without_check() -> None:
    """A repeated write goes out without a look at the ticket."""
    from aiops_host.work.settle import Settler  # noqa: PLC0415 - as above

    async def blind(*_: Any) -> tuple[()]:
        return ()

    Settler._look = blind  # type: ignore[method-assign, assignment]


def without_fencing() -> None:
    """Whoever held a lease once may write, and leases do not keep others away."""
    from aiops_host.data import claims, effects  # noqa: PLC0415 - as above

    held = "and (x.lease_until is null or x.lease_until < clock_timestamp())"
    effects._CLAIM = replaced(effects._CLAIM, held, "")
    effects._CLAIM = replaced(effects._CLAIM, "x.state = 'planned' and x.attempt = 0 as first", "true as first")
    claims._DUE = replaced(claims._DUE, "and (e.lease_until is null or e.lease_until < now())", "")


def without_walls() -> None:
    """A process starts on a database that keeps no tenants apart."""
    from aiops_host.data import walls  # noqa: PLC0415 - as above

    async def unchecked(_database: object) -> None:
        return None

    walls.check = unchecked


def replaced(text: str, old: str, new: str) -> str:
    """Return the text without the guard.

    Raises:
        ValueError: The guard is not there; the bench would prove nothing.
    """
    if old not in text:
        raise ValueError(f"the product has no guard {old!r} any more: teach the launcher its new form")
    return text.replace(old, new)


GUARDS: Mapping[str, Callable[[], None]] = {
    "sweeper": without_sweeper,
    "check": without_check,
    "fencing": without_fencing,
    "rls": without_walls,
}


def main() -> int:
    """Arm or disarm as the environment says, then run the product's program."""
    arm(Path(os.environ["BENCH_ARMED"]))
    if every := int(os.environ.get("BENCH_LOST_WAKEUPS", "0")):
        lose_wakeups(every)
    if guard := os.environ.get("BENCH_WITHOUT"):
        GUARDS[guard]()
    from aiops_host.cli.main import main as product  # noqa: PLC0415 - after the replacements

    return product(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
