"""The five figures an installation is judged by, each with its goal and one sentence about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from aiops_host.data.workers import WorkerView

FigureName = Literal["success-rate", "latency-p95", "queue-depth", "active-workers", "pool-use"]
Rule = Literal["at-least", "at-most", "below"]

SUCCESS_GOAL = 0.95
LATENCY_GOAL_SECONDS = 120.0
QUEUE_GOAL = 100
WORKERS_GOAL = 1
POOL_GOAL = 0.8


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number and its goal. ``value`` is ``None``, and so is ``met``, while there is nothing to measure.

    ``unit`` is ``share`` (0 to 1), ``seconds``, ``deliveries`` or ``workers``; ``rule`` says how value and goal
    compare when the goal is met; ``detail`` is one sentence for people.
    """

    name: FigureName
    value: float | None
    unit: Literal["share", "seconds", "deliveries", "workers"]
    rule: Rule
    goal: float
    met: bool | None
    detail: str


class TenantFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's figures over the last ``hours``; ``needs_attention`` counts what a person should look at."""

    tenant: str
    hours: int
    needs_attention: int
    figures: list[Figure]


class TenantLine(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant among all of them; the numbers are of the last day, ``waiting`` and ``oldest_seconds`` of now."""

    slug: str
    name: str
    state: Literal["active", "suspended", "deleting"]
    ended: int
    posted: int
    slowest_seconds: float | None
    waiting: int
    oldest_seconds: float
    needs_attention: int


class InstallationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Everything together: latency is that of the slowest tenant, pool use that of the fullest process."""

    hours: int
    figures: list[Figure]
    workers: list[WorkerView]
    tenants: list[TenantLine]


def success_rate(posted: int, ended: int) -> Figure:
    """Return the share of ended enhancements whose note is on its ticket."""
    share = posted / ended if ended else None
    detail = f"{posted} of {ended} notes asked for are on their tickets." if ended else "No note was asked for yet."
    return _figure("success-rate", share, "share", "at-least", SUCCESS_GOAL, detail=detail)


def latency(seconds: float | None) -> Figure:
    """Return the time from webhook to note that 95 of 100 notes stay within, estimated from those there are."""
    at_this_pace = "At this pace 95 of 100 notes are on their tickets within this time."
    detail = at_this_pace if seconds is not None else "No note yet."
    return _figure("latency-p95", seconds, "seconds", "at-most", LATENCY_GOAL_SECONDS, detail=detail)


def queue_depth(waiting: int, oldest_seconds: float) -> Figure:
    """Return how many deliveries are not finished."""
    detail = f"The oldest is {_spoken(oldest_seconds)} old." if waiting else "Nothing waits."
    return _figure("queue-depth", waiting, "deliveries", "below", QUEUE_GOAL, detail=detail)


def working(alive: int, *, suspended: bool = False) -> Figure:
    """Return how many workers can take up work."""
    detail = "Each said within the last half minute that it lives."
    if suspended:
        detail = "The tenant is suspended: its webhooks are kept and wait."
    elif not alive:
        detail = "No worker runs: webhooks are kept and wait. Start one with `aiops worker`."
    return _figure("active-workers", alive, "workers", "at-least", WORKERS_GOAL, detail=detail)


def pool_use(pools: Sequence[tuple[int, int]]) -> Figure:
    """Return the share of PostgreSQL connections in use, of the fullest of ``(in use, size)``; the host's is first."""
    busy, most = pools[0]
    detail = f"The host uses {busy} of its {most} connections to PostgreSQL"
    if len(pools) > 1:
        fullest = max(pools[1:], key=lambda pool: pool[0] / pool[1])
        detail += f", the busiest worker {fullest[0]} of {fullest[1]}"
    share = max(used / size for used, size in pools)
    return _figure("pool-use", share, "share", "below", POOL_GOAL, detail=detail + ".")


def _figure(
    name: FigureName,
    value: float | None,
    unit: Literal["share", "seconds", "deliveries", "workers"],
    rule: Rule,
    goal: float,
    *,
    detail: str,
) -> Figure:
    met = None
    if value is not None:
        met = {"at-least": value >= goal, "at-most": value <= goal, "below": value < goal}[rule]
    return Figure(name=name, value=value, unit=unit, rule=rule, goal=goal, met=met, detail=detail)


def _spoken(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
