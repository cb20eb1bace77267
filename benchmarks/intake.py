"""How many signed webhooks one host process commits, beside the peer on the same servers in the same run.

    python benchmarks/intake.py --peer DIR

Each side gets Jira webhooks over 32 connections from wrk, every request a distinct signed body, and commits a row for
each; no worker runs. The sides take turns. After each round the rows must be at least the 2xx answers and at most 32
more. Without ``--peer`` only our side runs. The last line printed is JSON; ``ratio`` is the median of the rounds'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs as a script too

from benchmarks import load, stage
from benchmarks.peer import Peer, past_tickets

BODIES_PER_SECOND = 6000
STEADY_PER_SECOND = 500
WARM_SECONDS = 5
SETTLE_SECONDS = 1.0
"""What the peer's bench waits before it counts rows: requests in flight when wrk leaves are still committed."""


def main() -> int:
    """Run the rounds and print one line of JSON."""
    options = _options()
    peer = Peer.prepare(options.peer) if options.peer else None
    with stage.servers() as made:
        print(json.dumps(asyncio.run(_rounds(made, peer, options))))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="the peer's folder, which is only read")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of both sides")
    parser.add_argument("--seconds", type=int, default=10, metavar="N", help="length of one measurement")
    parser.add_argument("--warm", type=int, default=WARM_SECONDS, metavar="N", help="seconds before it, not counted")
    return parser.parse_args()


async def _rounds(made: stage.Servers, peer: Peer | None, options: argparse.Namespace) -> dict[str, Any]:
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    async with stage.installed(made, past_tickets(options.peer), {}) as product:
        for number in range(options.rounds):
            ours.append(await _ours(made, product, options, steady=number == options.rounds - 1))
            _tell("ours", ours[-1])
            if peer is not None:
                theirs.append(_theirs(made, peer, options.seconds))
                _tell("peer", theirs[-1])
    return _summary(ours, theirs, options)


async def _ours(
    made: stage.Servers, product: stage.Product, options: argparse.Namespace, *, steady: bool
) -> dict[str, Any]:
    with product.part("serve") as host:
        await _run(made, product, "WRM", options.warm)
        before = stage.cpu_seconds(host.pid)
        measured = await _run(made, product, "OPS", options.seconds)
        spent = stage.cpu_seconds(host.pid) - before
        result = {
            **measured,
            "host_cpu_us_per_request": round(1e6 * spent / measured["answers"]),
            "host_cpu_share": round(spent / options.seconds, 2),
        }
        if steady:
            paced = await _run(made, product, "STD", options.seconds, delay_ms=_delay_ms())
            result["steady"] = {name: paced[name] for name in ("per_second", "p50_ms", "p99_ms")}
        return {**result, "host_rss_mb": stage.resident_mb(host.pid)}


async def _run(
    made: stage.Servers, product: stage.Product, project: str, seconds: int, *, delay_ms: int = 0
) -> dict[str, Any]:
    """Send for ``seconds`` and count the rows."""
    many = seconds * (STEADY_PER_SECOND * 2 if delay_ms else BODIES_PER_SECOND)
    keys = [f"{project}-{number}" for number in range(many)]
    lua = load.script(made.folder / f"{project}.lua", product.webhook_secret, keys, delay_ms=delay_ms)
    await product.forget_deliveries()
    made.forget_wakes()
    answered = load.wrk(product.webhook_url, lua, seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    rows = await product.observer.fetchval("select count(*) from delivery")
    if not answered.requests <= rows <= answered.requests + load.CONNECTIONS:
        raise SystemExit(f"{rows} rows for {answered.requests} answers")
    return {
        "per_second": answered.per_second,
        "p50_ms": answered.p50_ms,
        "p99_ms": answered.p99_ms,
        "answers": answered.requests,
        "rows": rows,
    }


def _delay_ms() -> int:
    """Return how long each connection waits between requests for about ``STEADY_PER_SECOND`` in all."""
    return 1000 * load.CONNECTIONS // STEADY_PER_SECOND - 3  # an answer takes some of it


def _theirs(made: stage.Servers, peer: Peer, seconds: int) -> dict[str, Any]:
    made.forget_wakes()
    # It never asks the stubs during intake, but waits for them to answer.
    with peer.stubs(made.stubs_port, llm_ms=0, itsm_ms=0) as stubs:
        environment = {"MODE": "intake", "SECONDS_": str(seconds), "PG_DSN": made.dsn, "REDIS_URL": made.redis_url}
        found = peer.bench({**environment, "STUBS": stubs})
    return {
        "per_second": found["intake_rps"],
        "p99_ms": _duration(found["intake_p99"]),
        "rows": found["rows"],
    }


def _duration(text: str) -> float | None:
    """Read the peer's percentile; its bench sometimes takes a word of the line before for it."""
    try:
        return load.milliseconds(text)
    except ValueError:
        return None


def _summary(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    ratios = [a["per_second"] / b["per_second"] for a, b in zip(ours, theirs, strict=False)]
    return {
        "ours": _median(ours, "per_second"),
        "peer": _median(theirs, "per_second"),
        "ratio": round(statistics.median(ratios), 2) if ratios else None,
        "ratios": [round(ratio, 2) for ratio in ratios],
        "p99_ms": _median(ours, "p99_ms"),
        "peer_p99_ms": _median(theirs, "p99_ms"),
        "steady": ours[-1]["steady"],
        "host_cpu_us_per_request": _median(ours, "host_cpu_us_per_request"),
        "host_cpu_share": _median(ours, "host_cpu_share"),
        "host_rss_mb": max(one["host_rss_mb"] for one in ours),
        "rows_over_answers": max(one["rows"] - one["answers"] for one in ours),
        "connections": load.CONNECTIONS,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "machine": stage.machine(),
    }


def _median(rounds: list[dict[str, Any]], name: str) -> float | None:
    found = [one[name] for one in rounds if one[name] is not None]
    return round(statistics.median(found), 2) if found else None


def _tell(side: str, result: dict[str, Any]) -> None:
    print(f"{side}: {json.dumps(result)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
