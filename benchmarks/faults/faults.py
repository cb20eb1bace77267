"""The faults, each with the promise it tries to break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
from benchmarks.faults import nemesis
from benchmarks.faults.checker import Verdict, judge, settled
from benchmarks.faults.client import Client
from benchmarks.faults.nemesis import Blow
from benchmarks.faults.world import VENDORS, made

from aiops_demo.simulators.base import Behaviour, Match

WORKER_FAILPOINTS = (
    "delivery-claimed",
    "run-finished",
    "effect-planned",
    "effect-claimed",
    "effect-before-write",
    "effect-written",
    "effect-confirmed",
)
HOST_FAILPOINTS = ("intake-before-commit", "intake-committed")
WRITES = Match(method="POST", path=r"/(comment|notes)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault. ``blows`` strike every ``every`` seconds; ``behaviour`` is how the ticketing tools misbehave."""

    name: str
    promise: str
    count: int
    blows: Sequence[Blow] = ()
    every: float = 2.0
    per_second: float | None = None
    copies: int = 1
    at_once: int = 20
    behaviour: Behaviour | None = None
    armed: Mapping[str, str] | None = None
    without: str | None = None
    within: float = 120.0


FAULTS: tuple[Fault, ...] = (
    Fault(name="none", promise="the bench itself finds nothing", count=200),
    Fault(name="kill-worker", promise="another worker goes on", count=500, blows=(nemesis.kill_worker,), per_second=25),
    Fault(
        name="kill-host", promise="the sender resends, one row", count=500, blows=(nemesis.kill_host,), per_second=25
    ),
    Fault(name="flush-redis", promise="nothing was only in Redis", count=1000, blows=(nemesis.flush_redis,), every=1),
    Fault(
        name="stop-redis",
        promise="intake and work go on by polling",
        count=500,
        blows=(nemesis.stop_redis,),
        every=3,
        per_second=50,
    ),
    Fault(
        name="kill-backends",
        promise="pools recover",
        count=500,
        blows=(nemesis.kill_backends,),
        every=0.7,
        per_second=40,
    ),
    Fault(name="drain", promise="SIGTERM loses nothing", count=400, blows=(nemesis.drain_worker,), per_second=25),
    Fault(name="duplicates", promise="100 copies at once, one note", count=100, copies=100, at_once=2),
    Fault(
        name="drop-after-apply",
        promise="looked for, not repeated",
        count=150,
        behaviour=Behaviour(apply_then="drop", times=75),
    ),
    Fault(
        name="500-after-apply",
        promise="looked for, not repeated",
        count=150,
        behaviour=Behaviour(apply_then=500, times=75),
    ),
    Fault(name="429", promise="waits as told", count=200, behaviour=Behaviour(fail_with=429, retry_after=1, times=20)),
    *(
        Fault(name=f"crash@{point}", promise="no step loses or doubles", count=200, armed={"BENCH_KILL": f"{point}:20"})
        for point in (*WORKER_FAILPOINTS, *HOST_FAILPOINTS)
    ),
    Fault(
        name="soak",
        promise="10,000 deliveries under random faults",
        count=10_000,
        blows=(nemesis.kill_worker, nemesis.kill_host, nemesis.flush_redis, nemesis.kill_backends),
        per_second=40,
        within=600,
    ),
)
SHORT = ("none", "kill-worker", "drop-after-apply", "duplicates", "crash@effect-written", "crash@intake-committed")
"""A selection for every test run, at a hundredth of the size."""


async def run(fault: Fault, *, seed: int, count: int | None = None, tenants: int = 4) -> Verdict:
    """Let the fault happen while deliveries go in, wait until all have ended, and judge."""
    fault = replace(fault, count=count or fault.count)
    async with made(tenants_wanted=tenants, armed=fault.armed, without=fault.without) as world:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as http:
            client = Client(world, http, seed)
            for site in world.sites[: len(VENDORS)]:
                if fault.behaviour:
                    site.simulator.behave(replace_match(fault.behaviour))
            helpers = [asyncio.create_task(world.revive())]
            if fault.blows:
                helpers.append(asyncio.create_task(nemesis.haunt(world, fault.blows, every=fault.every, seed=seed)))
            started = time.monotonic()
            await client.send_all(fault.count, per_second=fault.per_second, copies=fault.copies, at_once=fault.at_once)
            for helper in helpers[1:]:
                helper.cancel()
            await settled(world, client.ledger, within=fault.within)
            verdict = await judge(world, client.ledger, seconds=time.monotonic() - started)
            await _ended(helpers)
            return verdict


def replace_match(behaviour: Behaviour) -> Behaviour:
    """Let a behaviour without a match befall writes only."""
    import msgspec  # noqa: PLC0415 - one Struct copied

    return behaviour if behaviour.match != Match() else msgspec.structs.replace(behaviour, match=WRITES)


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
