"""How many deliveries become notes, beside the peer on the same servers and stubs in the same run.

    python benchmarks/pipeline.py --peer DIR

Real webhooks into a real host, one worker process, the Jira plugin and the LiteLLM backend against the peer's stubs;
without ``--peer`` only our side runs, against a stand-in. Each run must end with exactly one note per ticket.

``slow``: LLM 2,000 ms, ticketing system 200 ms; the peer as usually run (prefork 4) and tuned (64 threads).
``fast``: no latency; the peer's four processes. ``latency``: 5 deliveries a second, no latency, timed from the moment
a webhook is sent to the end of its delivery. The last line printed is JSON; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs as a script too

from benchmarks import load, stage
from benchmarks.peer import Peer, past_tickets, running

SLOW = (2000, 200)
FAST = (0, 0)
LATENCY_RATE = 5.0
POLL_SECONDS = 0.05
DRAIN_SECONDS = 180
WARM = 50
WARM_PREFORK = 8
PARTS = ("slow", "fast", "latency")

_numbers = count(1)
_DONE = "select count(*) from delivery where state = 'done' and starts_with(ticket_id, $1)"
_CONFIRMED = "select count(*) from effect where state = 'confirmed' and starts_with(ticket_id, $1)"


def main() -> int:
    """Run the parts asked for and print one line of JSON."""
    options = _options()
    peer = Peer.prepare(options.peer) if options.peer else None
    with stage.servers() as made:
        print(json.dumps(asyncio.run(_measured(made, peer, options))))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="the peer's folder, which is only read")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="rounds of both sides")
    parser.add_argument("--slow-n", type=int, default=1000, metavar="N", help="our deliveries at the slow model")
    parser.add_argument("--fast-n", type=int, default=1000, metavar="N", help="our deliveries without latency")
    parser.add_argument("--peer-n", type=int, default=400, metavar="N", help="the peer's deliveries")
    parser.add_argument("--prefork-n", type=int, default=64, metavar="N", help="the same at the slow model, prefork")
    parser.add_argument("--latency-n", type=int, default=150, metavar="N", help="deliveries whose latency is taken")
    parser.add_argument("--warm", type=int, default=WARM, metavar="N", help="deliveries before, not counted")
    parser.add_argument("--slots", type=int, default=400, metavar="N", help="AIOPS_SLOTS of our worker")
    return parser.parse_args()


async def _measured(made: stage.Servers, peer: Peer | None, options: argparse.Namespace) -> dict[str, Any]:
    rounds: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    settings = {"AIOPS_SLOTS": str(options.slots)}
    async with stage.installed(made, past_tickets(options.peer), settings) as product:
        side = _Side(made, peer, product, options)
        for _ in range(options.rounds):
            for part in options.parts:
                rounds[part].append(await getattr(side, part)())
                print(f"{part}: {json.dumps(rounds[part][-1])}", file=sys.stderr, flush=True)
    return {**_summary(rounds), "rounds": options.rounds, "settings": settings, "machine": stage.machine()}


class _Side:
    """Both sides on one stage."""

    def __init__(
        self, made: stage.Servers, peer: Peer | None, product: stage.Product, options: argparse.Namespace
    ) -> None:
        self._made = made
        self._peer = peer
        self._product = product
        self._options = options

    async def slow(self) -> dict[str, Any]:
        """Throughput at a slow model."""
        n = self._options
        with self._stubs(SLOW):
            ours = await self._ours(n.slow_n)
        return {
            "ours": ours,
            "tuned": self._theirs(SLOW, "threads", n.peer_n, n.warm),
            "prefork": self._theirs(SLOW, "prefork", n.prefork_n, min(n.warm, WARM_PREFORK)),
        }

    async def fast(self) -> dict[str, Any]:
        """Throughput without latency."""
        n = self._options
        with self._stubs(FAST):
            ours = await self._ours(n.fast_n)
        return {"ours": ours, "prefork": self._theirs(FAST, "prefork", n.peer_n, n.warm)}

    async def latency(self) -> dict[str, Any]:
        """Time from webhook to note at a low rate."""
        with self._stubs(FAST):
            return {"ours": await self._ours(self._options.latency_n, per_second=LATENCY_RATE)}

    async def _ours(self, n: int, *, per_second: float | None = None) -> dict[str, Any]:
        product = self._product
        with product.part("serve") as host, product.part("worker") as worker:
            await product.forget_deliveries()
            await self._through("WRM", self._options.warm)
            await product.analyse()
            before = stage.cpu_seconds(worker.pid), stage.cpu_seconds(host.pid)
            begin = time.time()
            sent = await self._through("OPS", n, per_second=per_second)
            took = time.time() - begin
            spent = stage.cpu_seconds(worker.pid) - before[0], stage.cpu_seconds(host.pid) - before[1]
            latencies = await self._latencies(sent)
            return {
                "n": n,
                "per_second": round(n / took, 2),
                "e2e_p50_ms": latencies[n // 2],
                "e2e_p95_ms": latencies[int(n * 0.95)],
                "worker_cpu_ms_per_run": round(1000 * spent[0] / n, 2),
                "host_cpu_ms_per_run": round(1000 * spent[1] / n, 2),
                "worker_cpu_share": round(spent[0] / took, 2),
                "worker_runs": n + self._options.warm,
                "worker_rss_mb": stage.resident_mb(worker.pid),
                "host_rss_mb": stage.resident_mb(host.pid),
            }

    async def _through(self, project: str, n: int, *, per_second: float | None = None) -> dict[str, float]:
        """Send ``n`` webhooks and wait until each ticket has exactly one note."""
        product = self._product
        noted = self._notes()["comment"]
        keys = [f"{project}-{next(_numbers)}" for _ in range(n)]
        sent = await load.send(product.webhook_url, product.webhook_secret, keys, per_second=per_second)
        end = time.monotonic() + DRAIN_SECONDS
        while await product.observer.fetchval(_DONE, project) < n:
            if time.monotonic() > end:
                raise SystemExit(f"the pipeline did not finish: {await product.states()}")
            await asyncio.sleep(POLL_SECONDS)
        notes = self._notes()
        confirmed = await product.observer.fetchval(_CONFIRMED, project)
        if confirmed != n or notes["comment"] - noted != n or notes["max_comments_per_issue"] != 1:
            raise SystemExit(f"{confirmed} effects of {n} are confirmed, {notes} notes after {noted}")
        return sent

    async def _latencies(self, sent: Mapping[str, float]) -> list[int]:
        """Return milliseconds from a webhook's sending to its delivery's end, shortest first."""
        rows = await self._product.observer.fetch(
            "select ticket_id, extract(epoch from finished_at)::float8 as finished from delivery "
            "where ticket_id = any($1)",
            list(sent),
        )
        return sorted(round(1000 * (row["finished"] - sent[row["ticket_id"]])) for row in rows)

    def _notes(self) -> dict[str, int]:
        answer: dict[str, int] = json.loads(stage.await_answer(self._made.stubs_url + "/stats"))
        return {"comment": 0, **answer}

    def _theirs(self, latency: tuple[int, int], pool: str, n: int, warm: int) -> dict[str, Any] | None:
        if self._peer is None:
            return None
        with self._stubs(latency):
            return self._peer.bench(
                {
                    "MODE": "pipeline",
                    "PEER_POOL": pool,
                    "N": str(n),
                    "WARM": str(warm),
                    "PG_DSN": self._made.dsn,
                    "REDIS_URL": self._made.redis_url,
                    "STUBS": self._made.stubs_url,
                }
            )

    @contextmanager
    def _stubs(self, latency: tuple[int, int]) -> Iterator[None]:
        """Start the stubs anew for one side; both sides get the same ones."""
        self._made.forget_wakes()
        port, (llm, itsm) = self._made.stubs_port, latency
        if self._peer is not None:
            stubs = self._peer.stubs(port, llm_ms=llm, itsm_ms=itsm)
        else:
            program = Path(__file__).with_name("stand_in.py")
            stubs = running([sys.executable, str(program), str(port), str(llm), str(itsm)], None, program.parent)
        with stubs:
            stage.await_answer(self._made.stubs_url + "/stats")
            yield


def _summary(rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    if slow := rounds["slow"]:
        summary["slow"] = {
            **_sides(slow, "prefork"),
            "ratio_tuned": _ratio(slow, "tuned"),
            "peer_tuned": _theirs_median(slow, "tuned"),
            **_details(slow),
        }
    if fast := rounds["fast"]:
        summary["fast"] = {**_sides(fast, "prefork"), **_details(fast)}
    if latency := rounds["latency"]:
        summary["latency"] = {"per_second": LATENCY_RATE, **_details(latency)}
    memory = [one["ours"] for part in rounds.values() for one in part]
    summary["host_rss_mb"] = max(one["host_rss_mb"] for one in memory)
    summary["worker_rss_mb"] = {str(one["worker_runs"]): one["worker_rss_mb"] for one in memory}
    return summary


def _sides(rounds: Sequence[Mapping[str, Any]], peer: str) -> dict[str, Any]:
    return {
        "ours": statistics.median(one["ours"]["per_second"] for one in rounds),
        "peer": _theirs_median(rounds, peer),
        "ratio": _ratio(rounds, peer),
    }


def _theirs_median(rounds: Sequence[Mapping[str, Any]], peer: str) -> float | None:
    found = [one[peer]["pipeline_per_s"] for one in rounds if one[peer]]
    return round(statistics.median(found), 2) if found else None


def _ratio(rounds: Sequence[Mapping[str, Any]], peer: str) -> float | None:
    found = [one["ours"]["per_second"] / one[peer]["pipeline_per_s"] for one in rounds if one[peer]]
    return round(statistics.median(found), 2) if found else None


def _details(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("n", "e2e_p50_ms", "e2e_p95_ms", "worker_cpu_ms_per_run", "worker_cpu_share")
    return {name: statistics.median(one["ours"][name] for one in rounds) for name in names}


if __name__ == "__main__":
    sys.exit(main())
