"""Refused logins in the audit trail: counted in memory and written beside what people wait for.

What somebody typed is never kept: an address nobody has may be a password in the wrong field. Refused API tokens and ended
sessions are left out: they name nobody, and 256 random bits are not guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from aiops_host.data import audit as stored
from aiops_host.data.audit import PLATFORM
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.attempts import line_of

log = logging.getLogger(__name__)

ACT: Final = "login.refuse"
WINDOW_SECONDS = 60.0
FLUSH_SECONDS = 1.0
MOST_KINDS = 10

Way = Literal["password", "oidc", "any"]
Why = Literal[
    "unknown",
    "password",
    "locked",
    "deactivated",
    "code",
    "address",
    "provider",
    "not-invited",
    "not-theirs",
    "further",
]
"""``password`` and ``code`` are wrong ones; ``address`` failed too often; ``provider`` does not vouch for them, or calls the
person by another name than before: ``not-theirs``."""


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """A kind of refusal. ``email`` is that of the person it was tried for, as they are known here; empty for nobody."""

    way: Way
    why: Why
    address: str = ""
    email: str = ""


class RefusedLogins:
    """Collects refusals; like ones are two entries a minute at most, the first at once and all others at its end.

    Of people, and of nobody, ten kinds a minute are told apart; what a flood brings beyond them is one count. A process
    that is killed loses what it has not written.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a clock of seconds that never go back."""
        self._clock = clock
        self._began = clock()
        self._kinds: set[RefusedLogin] = set()
        self._written: set[RefusedLogin] = set()
        self._waiting: Counter[RefusedLogin] = Counter()

    def note(self, way: Way, why: Why, address: str, email: str = "") -> None:
        """Note one refusal; waits for nothing, and costs the same whoever it was tried for."""
        one = RefusedLogin(way, why, line_of(address), email)
        if one not in self._kinds and sum(bool(kind.email) == bool(email) for kind in self._kinds) >= MOST_KINDS:
            one = RefusedLogin("any", "further")
        else:
            self._kinds.add(one)
        self._waiting[one] += 1

    @asynccontextmanager
    async def writing(self, database: Database) -> AsyncIterator[None]:
        """Write every second what is due while the block runs, and everything at its end."""
        writer = asyncio.create_task(self._write(database))
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            with contextlib.suppress(*TRY_AGAIN):
                await self.flush(database, everything=True)

    async def flush(self, database: Database, *, everything: bool = False) -> None:
        """Write kinds not written in this minute yet, and when the minute is over, or at the end, what else was counted."""
        over = everything or self._clock() >= self._began + WINDOW_SECONDS
        due = {one: times for one, times in self._waiting.items() if over or one not in self._written}
        if due:
            async with database.tenant(PLATFORM) as con:
                await stored.append(con, PLATFORM, [_entry(one, times) for one, times in due.items()])
        self._waiting -= Counter(due)
        self._written |= due.keys()
        if over:
            self._began = self._clock()
            self._kinds, self._written = set(self._waiting), set()

    async def _write(self, database: Database) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush(database)
            except TRY_AGAIN as error:
                log.warning("refused logins are not in the audit trail yet: %s", error)


def _entry(one: RefusedLogin, times: int) -> stored.NewEntry:
    facts = {"way": one.way, "why": one.why, "address": one.address, "times": str(times)}
    return audit.entry(audit.STRANGER, ACT, one.email, facts)
