"""``python -m benchmarks.faults.launch``: a part of the product with one moment armed or one guard taken away.

The product has no switch for either: this launcher replaces functions before it calls the product's own entry point.
``BENCH_KILL=name:n`` kills the process by SIGKILL the n-th time it reaches the failpoint, once per ``BENCH_ONCE`` file.
``BENCH_WITHOUT=guard`` takes a guard away.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any


def arm(failpoint: str, nth: int, once: Path) -> None:
    """Die at the ``nth`` time ``failpoint`` is reached, unless some process already did."""
    from aiops_host import failpoints  # noqa: PLC0415 - imported only to be replaced

    reached = count(1)

    def die(name: str) -> None:
        if name == failpoint and next(reached) >= nth and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.reached = die


def without_sweeper() -> None:
    """Work is taken up by wake-ups only, and never twice."""
    from aiops_host.data import claims  # noqa: PLC0415 - as above
    from aiops_host.work.dispatch import Dispatcher  # noqa: PLC0415

    async def no_poll(_self: Dispatcher) -> None:
        import asyncio  # noqa: PLC0415

        await asyncio.Event().wait()

    Dispatcher.poll = no_poll  # type: ignore[method-assign]
    claims._DUE = claims._DUE.replace("d.state = 'running' and d.lease_until < now()", "false")


def without_check() -> None:
    """A repeated write goes out without a look at the ticket."""
    from aiops_host.work.settle import Settler  # noqa: PLC0415 - as above

    async def blind(*_: Any) -> tuple[()]:
        return ()

    Settler._look = blind  # type: ignore[method-assign, assignment]


def without_fencing() -> None:
    """Whoever held a lease once may write, and leases do not keep others away."""
    from aiops_host.data import claims, effects  # noqa: PLC0415 - as above

    effects._CLAIM = effects._CLAIM.replace(
        "and (x.lease_until is null or x.lease_until < clock_timestamp())", ""
    ).replace("x.state = 'planned' and x.attempt = 0 as first", "true as first")
    claims._DUE = claims._DUE.replace("and (e.lease_until is null or e.lease_until < now())", "")


GUARDS: Mapping[str, Callable[[], None]] = {
    "sweeper": without_sweeper,
    "check": without_check,
    "fencing": without_fencing,
}


def main() -> int:
    """Arm or disarm as the environment says, then run the product's program."""
    if armed := os.environ.get("BENCH_KILL"):
        name, _, nth = armed.partition(":")
        arm(name, int(nth or 1), Path(os.environ["BENCH_ONCE"]))
    if guard := os.environ.get("BENCH_WITHOUT"):
        GUARDS[guard]()
    from aiops_host.cli.main import main as product  # noqa: PLC0415 - after the replacements

    return product(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
