"""The fault bench in small: parts die at every kind of moment and nothing is lost; without a guard the bench notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from benchmarks.faults.checker import Verdict
from benchmarks.faults.faults import DROPPED, FAULTS, PATIENT
from benchmarks.faults.running import Fault, happen
from benchmarks.faults.scenarios import WRITES, windows
from benchmarks.faults.world import Plan, World, made

from aiops_demo.simulators.base import Behaviour

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEED = 20_261_123
BY_NAME = {fault.name: fault for fault in FAULTS}
WINDOWS = {
    "jira": ("run-finished", "effect-written", "effect-checking"),
    "servicedesk": ("effect-before-write", "effect-written", "reconcile-deleting"),
}
GIVEN_UP_SECONDS = 6.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[World]:
    """A Jira tenant, a ServiceDesk Plus tenant, a host and two workers with short waits."""
    async with made(Plan(tenants=2, settings=PATIENT)) as everything:
        yield everything


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> World:
    """The world with every guard in its place."""
    await running.relaunch()
    return running


async def small(world: World, name: str, count: int, **changes: object) -> Verdict:
    """Let a named fault happen at a small size."""
    return await happen(replace(BY_NAME[name], **changes), world, seed=SEED, count=count)  # type: ignore[arg-type]


@pytest.mark.parametrize("vendor", WINDOWS)
@pytest.mark.promise("one-note")
async def test_deaths_at_every_kind_of_window(world: World, vendor: str) -> None:
    """Workers that die in a run, around a write, while looking and while reconciling leave one note per ticket."""
    fault = Fault(name="windows", row="2", promise="", count=0, scenario=windows(vendor, WINDOWS[vendor]))

    verdict = await happen(fault, world, seed=SEED, count=12)

    assert verdict.clean, verdict
    assert verdict.states == {"done": 12}


@pytest.mark.parametrize("failpoint", ["intake-before-commit", "intake-committed"])
@pytest.mark.promise("committed-before-2xx")
async def test_a_host_that_dies_around_the_commit(world: World, failpoint: str) -> None:
    """A webhook is one delivery whether its host died before or after the commit."""
    verdict = await small(world, f"crash@{failpoint}/jira", 12)

    assert verdict.clean, verdict
    assert verdict.states == {"done": 12}


async def test_a_hundred_copies_at_once(world: World) -> None:
    """A hundred copies of one webhook, sent at the same moment, are one delivery and one note; all are acknowledged."""
    verdict = await small(world, "duplicates", 2)

    assert verdict.clean, verdict
    assert verdict.deliveries == 2


async def test_answers_lost_after_the_write(world: World) -> None:
    """A ticketing tool that applies each write and closes the connection ends up with one note per ticket."""
    verdict = await small(world, "drop-after-apply", 10)

    assert verdict.clean, verdict


async def test_forgotten_wake_ups(world: World) -> None:
    """FLUSHALL under load costs nothing but time."""
    verdict = await small(world, "flush-redis", 30, most=2, every=0.3)

    assert verdict.clean, verdict


class TestWithoutAGuard:
    """The bench notices what each guard prevents: a bench that cannot fail proves nothing."""

    async def test_without_the_sweeper_work_is_lost(self, running: World) -> None:
        """The bench reports loss when nobody takes over what a dead worker held."""
        await running.relaunch("sweeper")
        verdict = await small(running, "crash@run-finished/jira", 6, nth=1, within=GIVEN_UP_SECONDS)

        assert verdict.lost, verdict

    async def test_without_the_look_notes_are_doubled(self, running: World) -> None:
        """The bench reports doubles when a write in doubt is repeated without a look at the ticket."""
        await running.relaunch("check")
        behaviour = Behaviour(apply_then=DROPPED.apply_then, times=2, match=WRITES)
        verdict = await small(running, "drop-after-apply", 6, behaviour=behaviour)

        assert verdict.doubled, verdict
        assert not verdict.lost

    async def test_without_fences_notes_are_doubled(self, running: World) -> None:
        """The bench reports doubles when a lease keeps nobody away."""
        await running.relaunch("fencing")
        verdict = await small(running, "slow-writes", 4, within=GIVEN_UP_SECONDS)

        assert verdict.doubled, verdict

    async def test_without_row_level_security_tenants_are_crossed(self, running: World) -> None:
        """The bench reports another tenant's words in a note when the database does not keep tenants apart."""
        await running.relaunch("rls")
        verdict = await small(running, "none", 6)

        assert verdict.crossed, verdict
