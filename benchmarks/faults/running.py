"""One fault in one world: deliveries go in while it happens, and all of them must come to their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.faults import nemesis, recovery
from benchmarks.faults.checker import Verdict, judge, settled
from benchmarks.faults.client import Client, Ledger, Marked, plain
from benchmarks.faults.desks import Site
from benchmarks.faults.nemesis import Blow
from benchmarks.faults.parts import revive
from benchmarks.faults.world import Plan, World

from aiops_demo.simulators.base import Behaviour

FOUR = Plan()
MOST_SECONDS = {"scaled": 120.0, "production": 420.0}


@dataclass(slots=True)
class Run:
    """A fault under way. A scenario adds to ``problems`` what was promised and not kept, to ``figures`` what it saw."""

    fault: Fault
    world: World
    client: Client
    seed: int
    count: int
    started_at: float = field(default_factory=time.time)
    problems: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    async def send(self, **changes: Any) -> None:
        """Send the fault's deliveries as it says."""
        fault = self.fault
        asked = {"at_once": fault.at_once, "per_second": fault.per_second, "copies": fault.copies}
        await self.client.send_all(**{"count": self.count, "marked": fault.marked, **asked, **changes})

    async def settle(self) -> None:
        """Wait until everything acknowledged has ended."""
        within = self.fault.within or MOST_SECONDS[self.world.plan.timers]
        await settled(self.world, self.client.ledger, within=within)

    async def settle_only(self, site: Site) -> None:
        """Wait until everything acknowledged to one tenant has ended."""
        mine = Ledger(sent=[sent for sent in self.client.ledger.sent if sent.site is site])
        await settled(self.world, mine, within=MOST_SECONDS[self.world.plan.timers])

    def demand(self, kept: bool, broken: str) -> None:
        """Write down a promise that was not kept."""
        if not kept:
            self.problems.append(broken)


Scenario = Callable[[Run], Awaitable[None]]


async def send_and_settle(run: Run) -> None:
    """Send everything while the nemesis strikes, then wait for every end."""
    async with struck(run):
        await run.send()
    await run.settle()


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One fault. ``row`` is its number in the fault model; ``blows`` strike every ``every`` seconds, ``most`` times.

    ``behaviour`` is how the ticketing tools misbehave; ``armed`` the failpoint to die at; ``scenario`` whatever needs
    more than to send and wait; ``plan`` the world it needs.
    """

    name: str
    row: str
    promise: str
    count: int
    blows: Sequence[Blow] = ()
    every: float = 2.0
    most: int | None = None
    per_second: float | None = None
    copies: int = 1
    at_once: int = 20
    behaviour: Behaviour | None = None
    armed: str | None = None
    nth: int = 5
    marked: Marked = plain
    scenario: Scenario = send_and_settle
    plan: Plan = FOUR
    within: float | None = None


@asynccontextmanager
async def struck(run: Run) -> AsyncIterator[None]:
    """Let the fault's nemesis strike inside the block."""
    fault = run.fault
    if not fault.blows:
        yield
        return
    haunting = nemesis.haunt(run.world, fault.blows, every=fault.every, seed=run.seed, most=fault.most)
    task = asyncio.create_task(haunting)
    try:
        yield
    finally:
        if fault.most is not None:
            await task  # whoever counts blows wants all of them
        await _ended(task)


async def happen(fault: Fault, world: World, *, seed: int, count: int | None = None) -> Verdict:
    """Let a fault happen in a world, wait until all has ended, and judge."""
    client = Client(world, seed, keep=fault.name != "drain")
    run = Run(fault, world, client, seed, count or fault.count)
    for site in world.sites:
        site.simulator.behave(fault.behaviour or Behaviour())
        site.watch.seen.clear()
    if fault.armed:
        world.arm(fault.armed, fault.nth)
    supervisor = asyncio.create_task(revive(world.parts))
    began = time.monotonic()
    try:
        await fault.scenario(run)
        seconds = time.monotonic() - began
        if fault.armed:
            run.demand(not world.armed(), f"nobody reached {fault.armed}")
        figures = {**await recovery.figures(world, run.started_at), **_answers(client.ledger), **run.figures}
        return await judge(world, client.ledger, seconds=seconds, problems=tuple(run.problems), figures=figures)
    finally:
        world.disarm()
        client.close()
        for site in world.sites:
            site.simulator.behave(Behaviour())
            site.watch.applied = None
        await _ended(supervisor)


def _answers(ledger: Ledger) -> dict[str, float]:
    """Return how many requests were answered and how long the slowest of a hundred took."""
    return {"answers": len(ledger.seconds), "answer_p99": recovery.quantile(ledger.seconds, 0.99)}


async def _ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
