"""Hung tools, and the workers' event loops: their own metrics beside what the machine does to an idle process."""

from __future__ import annotations

import asyncio
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from benchmarks.faults.recovery import quantile
from benchmarks.faults.running import Run, send_and_settle
from benchmarks.faults.world import World
from prometheus_client.parser import text_string_to_metric_families

from aiops_host.work.dispatch import WATCH_SECONDS

EVERY_SECONDS = 5.0
LATE_SECONDS = "0.25"
IDLE_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Seen:
    """What the workers' metrics said, in seconds.

    ``longest`` is the longest lag of a loop, ``turn`` the most processor time it took between two looks, ``late`` the share of
    looks that were more than 0.25 s late, ``running`` how many deliveries were held at the end; ``machine`` is the longest
    lag of a process that does nothing.
    """

    longest: float = 0.0
    turn: float = 0.0
    late: float = 0.0
    running: float = 0.0
    machine: float = 0.0


async def hung_tools(run: Run) -> None:
    """A tool never answers for some tickets; the others must not wait for it, and no loop for anything."""
    async with _loops_watched(run.world) as seen:
        await send_and_settle(run)
    await _hear_of(run, "did not answer")
    others = await run.world.fetch(
        "select extract(epoch from d.finished_at - d.received_at)::float8 as seconds from delivery d "
        "join run r using (tenant_id, delivery_id) where d.state = 'done' and r.ticket->>'title' not like '%HANG%'"
    )
    run.figures["others_p95"] = quantile([row["seconds"] for row in others], 0.95)
    run.demand(run.figures["others_p95"] <= 120, "the others waited")  # noqa: PLR2004 - the promise
    run.figures |= {"loop_lag_max": seen.longest, "loop_lag_late": seen.late}
    run.figures |= {"loop_turn_max": seen.turn, "machine_lag_max": seen.machine}
    # On a shared machine a busy process waits for the processor: what it computes without a pause is its own.
    run.demand(seen.turn <= 0.25, f"a loop computed {seen.turn:.2f} s without a pause")  # noqa: PLR2004 - the promise
    run.demand(seen.running == 0, f"{seen.running:g} slots were not freed")


async def _hear_of(run: Run, words: str) -> None:
    told = sum(words in note.text for site in run.world.sites for note in site.simulator.posted)
    run.figures["notes_that_tell"] = told
    run.demand(told > 0, "no note tells of the tool that did not answer")


@asynccontextmanager
async def _loops_watched(world: World) -> AsyncIterator[Seen]:
    """Ask the workers now and then while the block runs, and once more at its end."""
    seen = Seen()
    idle = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.faults.loops"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    watching = asyncio.create_task(_watch(world, seen))
    try:
        yield seen
        if watching.done():
            await watching  # it failed: what it did not see must not look fine
    finally:
        watching.cancel()
        said, _ = await idle.communicate(b"")  # Python 3.11 closes its input only then
        seen.machine = round(float(said), 3)
    await asyncio.sleep(WATCH_SECONDS + 1)  # until what is held was counted again
    pages = await asyncio.gather(*(_figures(part.metrics_port) for part in world.workers))
    _take(seen, pages)
    seen.running = sum(page["aiops_running"] for page in pages)
    looks = sum(page["event_loop_lag_seconds_count"] for page in pages)
    within = sum(page[f"event_loop_lag_seconds_bucket {LATE_SECONDS}"] for page in pages)
    seen.late = round((looks - within) / looks, 6) if looks else 1.0


async def _watch(world: World, seen: Seen) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        _take(seen, await asyncio.gather(*(_figures(part.metrics_port) for part in world.workers)))


def _take(seen: Seen, pages: Sequence[dict[str, float]]) -> None:
    seen.longest = max(seen.longest, *(round(page["event_loop_lag_max_seconds"], 3) for page in pages))
    seen.turn = max(seen.turn, *(round(page["event_loop_turn_max_seconds"], 3) for page in pages))


async def _figures(port: int) -> dict[str, float]:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            return str(answer.read().decode())

    families = text_string_to_metric_families(await asyncio.to_thread(read))
    return {
        f"{sample.name} {sample.labels['le']}" if "le" in sample.labels else sample.name: sample.value
        for family in families
        for sample in family.samples
    }


async def _idle_lag() -> float:
    """Return how late this process, which does nothing, woke at most until its standard input ended."""
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    longest = 0.0
    while not ended.done():
        due = time.monotonic() + IDLE_LOOK_SECONDS
        await asyncio.sleep(IDLE_LOOK_SECONDS)
        longest = max(longest, time.monotonic() - due)
    return longest


if __name__ == "__main__":
    print(asyncio.run(_idle_lag()))
