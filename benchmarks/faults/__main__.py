"""``python -m benchmarks.faults``: let faults happen and print what they cost."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from dataclasses import asdict, replace

from benchmarks.faults.faults import FAULTS, SHORT, run


def main() -> int:
    """Run the chosen faults; exit code 1 when something was lost, doubled or crossed."""
    names = {fault.name: fault for fault in FAULTS}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help=f"one of: {', '.join(names)}; the short selection by default"
    )
    parser.add_argument("--count", type=int, help="deliveries per fault instead of its own number")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of tickets and schedules")
    parser.add_argument("--without", choices=("sweeper", "check", "fencing", "rls"), help="take a guard away")
    parser.add_argument("--all", action="store_true", help="every fault but the soak")
    options = parser.parse_args()
    chosen = [n for n in names if n != "soak"] if options.all else options.faults or list(SHORT)
    bad = 0
    print(f"seed {options.seed}")
    print(f"{'fault':28} {'deliveries':>10} {'lost':>5} {'doubled':>8} {'crossed':>8} {'seconds':>8}  states")
    for name in chosen:
        fault = replace(names[name], without=options.without)
        verdict = asyncio.run(run(fault, seed=options.seed, count=options.count))
        bad += not verdict.clean
        print(
            f"{name:28} {verdict.acknowledged:>10} {verdict.lost:>5} {verdict.doubled:>8} {verdict.crossed:>8} "
            f"{verdict.seconds:>8.1f}  {json.dumps(verdict.states)}",
            flush=True,
        )
        print(json.dumps({"fault": name, "seed": options.seed, **asdict(verdict)}), file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
