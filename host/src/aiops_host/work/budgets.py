"""Tokens and money put aside before a call to a model, so that calls side by side never exceed a budget together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from aiops_core.errors import CallRefused
from aiops_core.llm import ModelCall
from aiops_host.data import budgets, usage
from aiops_host.data.budgets import BudgetState
from aiops_host.data.session import Database

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
MOST_LOOK_SECONDS = 2.0
WAIT_SECONDS = 15.0
"""How long a call waits for others to end whose reservations alone are in its way."""


class BudgetReached(CallRefused):
    """The budget is used up."""

    def __init__(self, reason: str) -> None:
        """Take the reason as a clause of its own."""
        super().__init__(f"was not asked: {reason}")
        self.reason = reason


@dataclass(slots=True)
class Purse:
    """What one run has put aside: kept from call to call, settled when the run is stored.

    A run whose calls fail without a charge needs one reservation, however many there are.
    """

    database: Database
    tenant_id: UUID
    lasts: timedelta
    reservations: list[UUID] = field(default_factory=list)
    tokens: int = 0
    usd: float = 0.0

    async def cover(self, call: ModelCall) -> None:
        """Make sure that the most the call can cost is put aside.

        Raises:
            BudgetReached: A budget has no room for it; the message says which.
        """
        tokens, usd = call.prompt_tokens + call.max_tokens, call.usd
        if self.reservations and tokens <= self.tokens and usd is not None and usd <= self.usd:
            return
        end, look = asyncio.get_running_loop().time() + WAIT_SECONDS, LOOK_SECONDS
        while True:
            reservation_id = uuid4()
            granted, rows = await usage.reserve(
                self.database, self.tenant_id, reservation_id, tokens=tokens, usd=usd, lasts=self.lasts
            )
            if granted:
                self.reservations.append(reservation_id)
                self.tokens, self.usd = self.tokens + tokens, self.usd + (usd or 0.0)
                return
            states = [budgets.state_of(row) for row in rows]
            if not _only_waits(states, tokens, usd) or asyncio.get_running_loop().time() > end:
                raise BudgetReached(_why(states, tokens, usd))
            await asyncio.sleep(look)
            look = min(look * 2, MOST_LOOK_SECONDS)

    def spend(self, tokens: int, usd: float | None) -> None:
        """Take a call's charge out of what is put aside."""
        self.tokens = max(self.tokens - tokens, 0)
        self.usd = max(self.usd - (usd or 0.0), 0.0)


def _only_waits(states: Sequence[BudgetState], tokens: int, usd: float | None) -> bool:
    """Return whether there is room apart from what other calls have put aside."""
    return all(_fits(state, tokens, usd) for state in states)


def _fits(state: BudgetState, tokens: int, usd: float | None) -> bool:
    if state.tokens is not None and state.used_tokens + tokens > state.tokens:
        return False
    return state.usd is None or (usd is not None and state.used_usd + usd <= state.usd)


def _why(states: Sequence[BudgetState], tokens: int, usd: float | None) -> str:
    for state in states:
        if state.usd is not None and usd is None:
            return "its price is not known, which a budget in USD needs; the operator can set it"
        if state.level == "reached":
            return f"the {_named(state)} is used up until {state.renews}; {_who(state)} can raise it"
        if not _fits(state, tokens, usd):
            return (
                f"what is left of the {_named(state)} until {state.renews} does not cover another call; "
                f"{_who(state)} can raise it"
            )
    return "other calls have put the rest of the budget aside"


def _who(state: BudgetState) -> str:
    return "an administrator" if state.set_by == "tenant" else "the operator"


def _named(state: BudgetState) -> str:
    period = "daily" if state.period == "day" else "monthly"
    return f"{period} budget for language models ({budgets.limit_of(state)})"
