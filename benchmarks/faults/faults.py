"""The faults, each with the promise it tries to break and its full size."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from benchmarks.faults import loops, nemesis, scenarios
from benchmarks.faults.client import Marked
from benchmarks.faults.llm import MODES
from benchmarks.faults.plugins import BAD, GOOD
from benchmarks.faults.running import Fault, Scenario, send_and_settle
from benchmarks.faults.scenarios import WRITES
from benchmarks.faults.world import VENDORS, Plan

from aiops_demo.simulators.base import Behaviour

LOST = Behaviour(fail_with=500, match=WRITES)
DROPPED = Behaviour(apply_then="drop", match=WRITES)
WINDOWS: dict[str, Behaviour | None] = {
    "intake-before-commit": None,
    "intake-committed": None,
    "delivery-claimed": None,
    "run-finished": None,
    "effect-planned": None,
    "effect-claimed": None,
    "effect-before-write": None,
    "effect-written": None,
    "effect-confirmed": None,
    "effect-checking": DROPPED,
    "effect-waiting": LOST,
    "reconcile-deleting": DROPPED,
    "reconcile-deleted": DROPPED,
}
"""Every failpoint, with what a ticketing tool has to do to its first writes so that somebody gets there."""
TWENTY = Plan(tenants=20)
PATIENT = {"AIOPS_MAX_CRASHES": "50"}
"""Where workers are killed every few seconds, five deaths are no sign of poison."""


def every(nth: int, word: str, expected: str) -> Marked:
    """Return the mark of every ``nth`` ticket."""

    def marked(number: int) -> tuple[str, str]:
        return (word, expected) if number % nth == nth - 1 else ("", "done")

    return marked


def _window(failpoint: str, vendor: str) -> Fault:
    """Return the fault of one death at one failpoint, in a batch for tenants of one vendor."""
    behaviour = WINDOWS[failpoint]
    scenario: Scenario = send_and_settle
    if failpoint.startswith("reconcile"):
        scenario = scenarios.late_writes
    return Fault(
        name=f"crash@{failpoint}/{vendor}",
        row="2",
        promise="no step loses or doubles",
        count=200,
        armed=failpoint,
        nth=1 if behaviour else 5,
        behaviour=behaviour and msgspec.structs.replace(behaviour, times=3),
        scenario=scenario,
        plan=Plan(vendors=(vendor,)),
    )


def _cut(vendor: str) -> Fault:
    """Return the fault of all workers dying between a write and its answer."""
    return Fault(
        name=f"crash@write-answer/{vendor}",
        row="2",
        promise="no step loses or doubles",
        count=200,
        scenario=scenarios.cut_off,
        plan=Plan(vendors=(vendor,)),
    )


MATRIX = tuple(_window(point, vendor) for vendor in VENDORS for point in WINDOWS) + tuple(map(_cut, VENDORS))
SINGLE: tuple[Fault, ...] = (
    Fault(name="none", row="-", promise="the bench itself finds nothing", count=500, plan=TWENTY),
    Fault(
        name="kill-worker",
        row="1",
        promise="another worker goes on",
        count=500,
        blows=(nemesis.kill_worker,),
        per_second=12.5,
        plan=replace(TWENTY, settings=PATIENT),
    ),
    Fault(
        name="kill-host-committed",
        row="3",
        promise="what was committed is found without its wake-up",
        count=2000,
        blows=(nemesis.at("intake-committed", 50),),
        per_second=50,
        scenario=scenarios.wakeups_lost,
        plan=replace(TWENTY, lost_wakeups=2),
    ),
    Fault(
        name="kill-host-uncommitted",
        row="4",
        promise="the sender resends, one row",
        count=1000,
        blows=(nemesis.at("intake-before-commit", 25),),
        per_second=25,
        plan=TWENTY,
    ),
    Fault(
        name="flush-redis",
        row="5",
        promise="nothing was only in Redis",
        count=2000,
        blows=(nemesis.flush_redis,),
        most=5,
        per_second=100,
        plan=TWENTY,
    ),
    Fault(
        name="redis-down",
        row="6",
        promise="intake and work go on by polling",
        count=1000,
        scenario=scenarios.redis_away,
        plan=TWENTY,
    ),
    Fault(
        name="restart-postgres",
        row="7",
        promise="503, never a false 202",
        count=2000,
        per_second=50,
        at_once=100,
        scenario=scenarios.postgres_restarts,
        plan=TWENTY,
    ),
    Fault(
        name="kill-backends",
        row="8",
        promise="pools recover",
        count=1000,
        blows=(nemesis.kill_backends,),
        every=0.5,
        per_second=40,
        plan=TWENTY,
    ),
    *(
        Fault(
            name=f"llm-{mode}",
            row="10",
            promise="a note without AI text in time",
            count=100,
            scenario=scenarios.language_model(mode),
            plan=replace(TWENTY, tenants=4, llm=mode, settings={"AIOPS_RUN_TIMEOUT": "30"}),
        )
        for mode in MODES
    ),
    Fault(
        name="drop-after-apply",
        row="11",
        promise="looked for, not repeated",
        count=150,
        behaviour=DROPPED,
        plan=TWENTY,
    ),
    Fault(
        name="500-after-apply",
        row="11",
        promise="looked for, not repeated",
        count=150,
        behaviour=Behaviour(apply_then=500, match=WRITES),
        plan=TWENTY,
    ),
    Fault(
        name="refused-key",
        row="12",
        promise="paused, kept, resumed",
        count=200,
        scenario=scenarios.refused_credentials,
    ),
    Fault(
        name="429",
        row="13",
        promise="waits as told, alone",
        count=200,
        scenario=scenarios.too_many_requests,
        plan=Plan(tenants=2),
    ),
    Fault(
        name="duplicates",
        row="14",
        promise="100 copies at once, one note",
        count=1000,
        copies=100,
        at_once=2,
        plan=TWENTY,
    ),
    Fault(
        name="shuffled",
        row="15",
        promise="the last note is about the newest state",
        count=200,
        scenario=scenarios.shuffled,
        within=600,  # two thousand runs
        plan=replace(TWENTY, run_on=("opened", "updated"), settings={"AIOPS_RUNS_PER_TICKET_HOUR": "1000"}),
    ),
    Fault(
        name="poison",
        row="17",
        promise="quarantined after 5 claims, others flow",
        count=1000,
        per_second=40,
        marked=every(100, "POISON", "quarantined"),
        scenario=scenarios.poisoned,
        within=600,  # fifty workers die and are started again
        plan=replace(TWENTY, plugins=("poison",)),
    ),
    Fault(
        name="hung-tool",
        row="19",
        promise="others do not wait",
        count=1000,
        marked=every(20, "HANG", "done"),
        scenario=loops.hung_tools,
        plan=replace(TWENTY, plugins=("hung",), metrics=True),
    ),
    Fault(
        name="bad-plugins",
        row="20",
        promise="disabled and shown, the rest serve",
        count=200,
        scenario=scenarios.bad_plugins,
        plan=replace(TWENTY, plugins=(*GOOD, *BAD)),
    ),
    Fault(
        name="drain",
        row="23",
        promise="SIGTERM loses nothing, resets nothing",
        count=400,
        per_second=100,
        at_once=50,
        scenario=scenarios.drained,
        plan=TWENTY,
    ),
    Fault(
        name="late-writes",
        row="reconcile",
        promise="of two notes the oldest stays",
        count=100,
        behaviour=DROPPED,
        scenario=scenarios.late_writes,
        plan=TWENTY,
    ),
    Fault(
        name="slow-writes",
        row="leases",
        promise="nobody writes what another holds",
        count=50,
        behaviour=Behaviour(delay_ms=1000, match=WRITES),
    ),
)
SOAK = Fault(
    name="soak",
    row="soak",
    promise="10,000 deliveries under random faults",
    count=10_000,
    blows=(
        nemesis.kill_worker,
        nemesis.kill_host,
        nemesis.flush_redis,
        nemesis.restart_redis,
        nemesis.kill_backends,
        nemesis.restart_postgres,
        nemesis.at("effect-before-write"),
        nemesis.at("effect-written"),
    ),
    per_second=20,
    within=600,
    plan=replace(TWENTY, settings=PATIENT),
)
FAULTS: tuple[Fault, ...] = (*SINGLE, *MATRIX, SOAK)
SHORT = ("kill-worker", "drop-after-apply", "duplicates", "crash@effect-written/jira", "crash@intake-committed/jira")
"""A quick look; ``--all`` is the whole of it."""
