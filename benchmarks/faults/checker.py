"""The verdict: acknowledged webhooks against PostgreSQL and against what the ticketing tools hold."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.faults.client import Ledger, per_site
from benchmarks.faults.world import World

TERMINAL = ("done", "ignored", "quarantined", "parked", "dead")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the fault cost.

    ``lost``: acknowledged without an end, or ended without its note; ``doubled``: more than one note on a ticket;
    ``crossed``: another tenant's word in a note.
    """

    acknowledged: int
    lost: int
    doubled: int
    crossed: int
    states: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled or crossed."""
        return not (self.lost or self.doubled or self.crossed)


async def settled(world: World, ledger: Ledger, *, within: float) -> bool:
    """Wait until every acknowledged delivery has ended; False when some did not in time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if all(state in TERMINAL for state in (await _states(world, ledger)).values()):
            return True
        await asyncio.sleep(0.25)
    return False


async def judge(world: World, ledger: Ledger, *, expected: str = "done", seconds: float = 0.0) -> Verdict:
    """Compare ledger, database and simulators; ``expected`` is the state each delivery should have ended in."""
    states = await _states(world, ledger)
    notes = Counter(note.ticket for site in world.sites[:2] for note in site.simulator.posted)
    tickets = {sent.ticket for sent in ledger.sent}
    lost = sum(
        states.get(s.delivery_id) != expected or (expected == "done" and not notes[s.ticket]) for s in ledger.sent
    )
    return Verdict(
        acknowledged=len(ledger.sent),
        lost=lost,
        doubled=sum(count > 1 for ticket, count in notes.items() if ticket in tickets) + ledger.conflicting,
        crossed=_crossed(world, ledger),
        states=dict(Counter(states.values())),
        seconds=seconds,
    )


def _crossed(world: World, ledger: Ledger) -> int:
    owner = {sent.ticket: sent.site for sent in ledger.sent}
    crossings = 0
    for site in world.sites[:2]:
        for note in site.simulator.posted:
            mine = owner.get(note.ticket)
            foreign = [s.canary for s in world.sites if s is not mine]
            crossings += any(canary in note.text for canary in foreign)
    return crossings


async def _states(world: World, ledger: Ledger) -> dict[str, str]:
    states = {sent.delivery_id: "missing" for sent in ledger.sent}
    for sent in per_site(ledger.sent).values():
        async with world.database.tenant(sent[0].site.tenant_id) as con:
            rows = await con.fetch(
                "select delivery_id::text, state from delivery where delivery_id = any($1::uuid[])",
                [s.delivery_id for s in sent],
            )
        states |= {row["delivery_id"]: row["state"] for row in rows}
    return states
