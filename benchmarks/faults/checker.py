"""The verdict: acknowledged webhooks against PostgreSQL and against what the ticketing tools hold."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import asyncpg
from benchmarks.faults.client import RESENDS, Ledger, Sent, per_site
from benchmarks.faults.world import World

from aiops_host.data.session import DatabaseBusy, DatabaseDown

TERMINAL = ("done", "ignored", "quarantined", "parked", "dead")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the fault cost.

    ``lost``: acknowledged without its end, or ended without its note; ``doubled``: a note more than once on a ticket,
    or two deliveries of one webhook; ``crossed``: a note on another tenant's ticket or with another tenant's word in
    it. ``problems`` are broken promises beside these, ``figures`` what was measured.
    """

    deliveries: int
    lost: int
    doubled: int
    crossed: int
    states: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled or crossed, and every promise kept."""
        return not (self.lost or self.doubled or self.crossed or self.problems)


async def settled(world: World, ledger: Ledger, *, within: float) -> bool:
    """Wait until every acknowledged delivery has ended; False when some did not in time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if all(state in TERMINAL for state in (await states_of(world, ledger.sent)).values()):
                return True
        except (DatabaseDown, DatabaseBusy, OSError, asyncpg.PostgresError):
            pass  # it is being restarted
        await asyncio.sleep(0.25)
    return False


async def judge(
    world: World, ledger: Ledger, *, seconds: float, problems: tuple[str, ...] = (), figures: dict[str, float]
) -> Verdict:
    """Compare ledger, database and simulators."""
    states = await states_of(world, ledger.sent)
    notes = _notes(world)
    effects = await _effects(world)
    deliveries: dict[tuple[int, str], int] = Counter((s.site.number, s.ticket) for s in ledger.sent)
    lost = sum(_is_lost(s, states, notes, effects) for s in ledger.sent)
    doubled = ledger.conflicting + sum(
        max(notes[place] - min(count, effects.get(place, count)), 0) for place, count in deliveries.items()
    )
    return Verdict(
        deliveries=len(ledger.sent),
        lost=lost,
        doubled=doubled,
        crossed=_crossed(world, {(s.site.number, s.ticket) for s in ledger.sent}),
        states=dict(Counter(states.values())),
        seconds=round(seconds, 1),
        problems=(*problems, *_not_accepted(ledger)),
        figures=figures,
    )


def _not_accepted(ledger: Ledger) -> Iterator[str]:
    """Say what the host did not take: nothing that was promised is lost by it, but its sender gave up."""
    yield from (f"{n} answers {code}" for code, n in ledger.refused.items())
    if ledger.given_up:
        yield f"{ledger.given_up} webhooks were never acknowledged, though sent {RESENDS} times"


async def states_of(world: World, sent: list[Sent]) -> dict[str, str]:
    """Return the state of each delivery; ``missing`` when the database has none of that id."""
    states = {one.delivery_id: "missing" for one in sent}
    for some in per_site(sent).values():
        async with world.database.tenant(some[0].site.tenant_id) as con:
            rows = await con.fetch(
                "select delivery_id::text, state from delivery where delivery_id = any($1::uuid[])",
                [s.delivery_id for s in some],
            )
        states |= {row["delivery_id"]: row["state"] for row in rows}
    return states


def _is_lost(
    sent: Sent,
    states: dict[str, str],
    notes: dict[tuple[int, str], int],
    effects: dict[tuple[int, str], int],
) -> bool:
    place = (sent.site.number, sent.ticket)
    if states[sent.delivery_id] != sent.expected:
        return True
    return sent.expected == "done" and notes[place] < max(effects.get(place, 0), 1)


def _notes(world: World) -> dict[tuple[int, str], int]:
    """Return how many notes each ticket holds, by tenant and ticket."""
    counted: dict[tuple[int, str], int] = defaultdict(int)
    for site in world.sites:
        for note in site.simulator.posted:
            counted[site.number, note.ticket] += 1
    return counted


async def _effects(world: World) -> dict[tuple[int, str], int]:
    """Return how many notes each ticket should hold as the database has it."""
    numbers = {site.tenant_id: site.number for site in world.sites}
    rows = await world.fetch(
        "select tenant_id, ticket_id, count(*) from effect where state = 'confirmed' group by tenant_id, ticket_id"
    )
    return {(numbers[r["tenant_id"]], r["ticket_id"]): r["count"] for r in rows}


def _crossed(world: World, asked: set[tuple[int, str]]) -> int:
    """Return how many notes hold a word of another tenant, or are on a ticket that is another tenant's."""
    crossings = 0
    for site in world.sites:
        foreign = [other.canary for other in world.sites if other is not site]
        mine = str(site.number + 1)
        for note in site.simulator.posted:
            number = note.ticket.rpartition("-")[2]
            told = (site.number, note.ticket) in asked and any(canary in note.text for canary in foreign)
            crossings += told or number[:-6] != mine
    return crossings
