"""What the intake notes beside deliveries: refused webhooks, and secrets that are still in use though replaced.

Nobody waits for it. An endpoint's notes are written once a second at most, by one task that ends when there are none,
so that neither a flood of refusals nor a busy sender costs valid webhooks a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from aiops_core.plugins import explain
from aiops_host.data import refusals
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.refusals import KEPT, Refusal
from aiops_host.data.session import Database
from aiops_host.watch.logs import scrub

log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
USE_EVERY = timedelta(seconds=30)
MOST_ENDPOINTS = 256
MOST_NAMES = 40
MAX_DETAIL = 300
HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")

_Key = tuple[str, str, str | None, tuple[str, ...]]


@dataclass(slots=True)
class Remarks:
    """Collects notes and writes them in the background."""

    database: Database
    seconds: float = FLUSH_SECONDS
    _refused: dict[str, dict[_Key, Refusal]] = field(default_factory=dict)
    _used: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _last_use: dict[tuple[str, int], datetime] = field(default_factory=dict)
    _writer: asyncio.Task[None] | None = None
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def refused(
        self, endpoint_id: str, at: datetime, *, check: str, detail: str, address: str | None, names: tuple[str, ...]
    ) -> None:
        """Note a refused webhook of a known endpoint; a like one within the same second only counts."""
        waiting = self._refused.get(endpoint_id)
        if waiting is None:
            if len(self._refused) >= MOST_ENDPOINTS:
                return
            waiting = self._refused[endpoint_id] = {}
        key = (check, detail, address, names)
        if (before := waiting.get(key)) is not None:
            waiting[key] = replace(before, at=at, times=before.times + 1)
        elif len(waiting) < KEPT:
            waiting[key] = Refusal(at=at, check=check, detail=detail, address=address, names=names, times=1)
        self._write_soon()

    def secret_used(self, endpoint_id: str, version: int, at: datetime) -> None:
        """Note when a secret of an endpoint that has several was last used, to the half minute."""
        key = (endpoint_id, version)
        before = self._last_use.get(key)
        if before is not None and at - before < USE_EVERY:
            return
        if len(self._last_use) >= MOST_ENDPOINTS:
            self._last_use.clear()
        self._last_use[key] = self._used[key] = at
        self._write_soon()

    async def close(self) -> None:
        """Write what is noted, without waiting for more."""
        if self._writer is not None:
            self._hurry.set()
            await self._writer
            self._hurry.clear()

    def _write_soon(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._refused or self._used:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self.seconds)
            try:
                await self._flush()
            except TRY_AGAIN as error:
                log.warning("what webhooks were refused for is not written down: %s", explain(error))
            except Exception:  # isolation: background task; notes that cannot be stored are dropped
                log.exception("notes on refused webhooks are lost")

    async def _flush(self) -> None:
        refused, self._refused = self._refused, {}
        used, self._used = self._used, {}
        for (endpoint_id, version), at in used.items():
            await refusals.note_secret_use(self.database, endpoint_id, version, at)
        for endpoint_id, noted in refused.items():
            await refusals.record(self.database, endpoint_id, list(noted.values()))


def names_of(headers: Mapping[str, str], hidden: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of headers, sorted and bounded in length and number; one that holds a ``hidden`` value is not."""
    names = sorted(name for name in headers if HEADER_NAME.fullmatch(name))
    return tuple(name for name in names if not any(value.lower() in name for value in hidden))[:MOST_NAMES]


def detail_of(error: Exception) -> str:
    """Return an error's words as one bounded line without what looks like a credential."""
    text = "".join(c if c.isprintable() else " " for c in scrub(str(error)))
    return text[:MAX_DETAIL]
