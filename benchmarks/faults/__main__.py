"""``python -m benchmarks.faults``: let faults happen and print what they cost."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatch
from typing import Any, TypeAlias

from benchmarks.faults.checker import Verdict
from benchmarks.faults.faults import FAULTS, SHORT
from benchmarks.faults.pool import exhaust
from benchmarks.faults.running import Fault, happen
from benchmarks.faults.world import Plan, made

Tell: TypeAlias = Callable[[str, str, Verdict], None]

POOL = "pool"
POOL_COUNT = 200
HEAD = (
    f"{'fault':34} {'row':>9} {'deliveries':>10} {'lost':>5} {'doubled':>8} {'crossed':>8} {'seconds':>8}  recovery, s"
)
SHOWN = ("claim_p99", "note_max", "ready_after_fast", "ready_after_immediate", "pickup_max", "done_p95", "terminal_max")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen faults; exit code 1 when something was lost, doubled or crossed, or a promise broken."""
    options = _parser().parse_args(argv)
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # the checker's own pool meets the restarts too
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what runs is ended first
    by_name = {fault.name: fault for fault in FAULTS}
    chosen = _chosen(options, by_name)
    print(f"seed {options.seed}, timers {options.timers}" + (f", without {options.without}" if options.without else ""))
    print(HEAD, flush=True)
    results: list[dict[str, Any]] = []

    def tell(name: str, row: str, verdict: Verdict) -> None:
        print(_line(name, row, verdict), flush=True)
        for problem in verdict.problems:
            print(f"    {problem}", flush=True)
        results.append({"fault": name, "row": row, **asdict(verdict)})

    for plan, faults in _by_plan([by_name[name] for name in chosen if name in by_name]):
        asyncio.run(_happen(plan, faults, options, tell))
    if POOL in chosen:
        count = options.count or max(int(POOL_COUNT * options.scale), 1)
        tell(POOL, "8", asyncio.run(exhaust(seed=options.seed, count=count)))
    clean = all(not (r["lost"] or r["doubled"] or r["crossed"] or r["problems"]) for r in results)
    said = {"seed": options.seed, "timers": options.timers, "without": options.without, "clean": clean}
    print(json.dumps({**said, "faults": results}))
    return 0 if clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="names or patterns; a short selection without")
    parser.add_argument("--count", type=int, help="deliveries per fault instead of its own number")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each fault's own number")
    parser.add_argument("--tenants", type=int, help="tenants instead of the fault's own number")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of tickets and schedules")
    parser.add_argument("--timers", choices=("scaled", "production"), default="scaled", help="the product's waits")
    parser.add_argument("--without", choices=("sweeper", "check", "fencing", "rls"), help="take a guard away")
    parser.add_argument("--within", type=float, help="seconds to wait for the last end")
    parser.add_argument("--all", action="store_true", help="every fault but the soak")
    parser.add_argument("--list", action="store_true", help="print the faults and end")
    return parser


def _chosen(options: argparse.Namespace, by_name: dict[str, Fault]) -> list[str]:
    names = [*by_name, POOL]
    if options.list:
        for fault in by_name.values():
            print(f"{fault.name:34} row {fault.row:>9} {fault.count:>6} deliveries: {fault.promise}")
        print(f"{POOL:34} row {'8':>9} {POOL_COUNT:>6} lost sessions and failed commits: five of five usable")
        sys.exit(0)
    if options.all:
        return [name for name in names if name != "soak"]
    found = [n for asked in options.faults or SHORT for n in names if fnmatch(n, asked)]
    if not found:
        print(f"no fault is called {' or '.join(options.faults)}; see --list", file=sys.stderr)
        sys.exit(2)
    return list(dict.fromkeys(found))


def _by_plan(faults: Sequence[Fault]) -> list[tuple[Plan, list[Fault]]]:
    """Return the faults by the world they need: those that need the same one share it, one after the other."""
    found: list[tuple[Plan, list[Fault]]] = []
    for fault in faults:
        for plan, together in found:
            if plan == fault.plan:
                together.append(fault)
                break
        else:
            found.append((fault.plan, [fault]))
    return found


async def _happen(plan: Plan, faults: Sequence[Fault], options: argparse.Namespace, tell: Tell) -> None:
    """Make one world and let the faults happen in it, one after the other."""
    plan = replace(plan, timers=options.timers, without=options.without, tenants=options.tenants or plan.tenants)
    async with made(plan) as world:
        for fault in faults:
            chosen = replace(fault, within=options.within or fault.within)
            count = options.count or max(int(fault.count * options.scale), 1)
            began = time.monotonic()
            try:
                verdict = await happen(chosen, world, seed=options.seed, count=count)
            except Exception as error:  # isolation: one fault that cannot be staged does not hide the others
                reason = f"not staged: {type(error).__name__}: {error}"
                verdict = Verdict(0, 0, 0, 0, {}, time.monotonic() - began, (reason,))
            tell(fault.name, fault.row, verdict)


def _line(name: str, row: str, verdict: Verdict) -> str:
    shown = ", ".join(f"{key} {verdict.figures[key]:g}" for key in SHOWN if key in verdict.figures)
    return (
        f"{name:34} {row:>9} {verdict.deliveries:>10} {verdict.lost:>5} {verdict.doubled:>8} {verdict.crossed:>8} "
        f"{verdict.seconds:>8.1f}  {shown}"
    )


if __name__ == "__main__":
    sys.exit(main())
