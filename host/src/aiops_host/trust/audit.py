"""The audit trail: every administrative act, in the transaction of the act, and every decryption, soon after it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import msgspec

from aiops_host.data import audit as stored
from aiops_host.data.audit import PLATFORM, ActorKind, Head, NewEntry
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.session import Connection, Database

log = logging.getLogger(__name__)

MAX_TEXT = 500
FLUSH_SECONDS = 1.0
MAX_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a person's address, a token's name, the account of an operator, one of our parts."""

    kind: ActorKind
    name: str
    id: str = ""


def person(email: str, user_id: UUID) -> Actor:
    """Return a logged-in person as an actor."""
    return Actor("person", email, str(user_id))


def operator() -> Actor:
    """Return whoever runs this command, by their account on this machine."""
    try:
        return Actor("operator", getpass.getuser())
    except (KeyError, OSError):  # an account without a name, as containers have
        return Actor("operator", "unknown")


def part(name: str) -> Actor:
    """Return one of our own processes as an actor."""
    return Actor("part", name)


STRANGER = Actor("stranger", "")
"""Somebody who did not log in."""


async def record(
    where: Connection | Database,
    *,
    tenant_id: UUID | None,
    actor: Actor,
    act: str,
    subject: str,
    details: Mapping[str, str] | None = None,
) -> None:
    """Append an act to the trail of its tenant, or of the platform.

    Args:
        where: The connection of the act's own transaction, so that neither is there without the other. A tenant's
            session may write into its own trail and the platform's. A :class:`Database` for what changes no row.
        tenant_id: Whose act it is; ``None`` for the platform's.
        actor: Who did it.
        act: What was done, as ``noun.verb``: ``connection.change``.
        subject: What it was done to, by id or name.
        details: What else helps to understand it. Never a secret, never a ticket's text.
    """
    new = entry(actor, act, subject, details or {})
    chain = tenant_id or PLATFORM
    if isinstance(where, Database):
        async with where.tenant(chain) as con:
            head = await stored.append(con, chain, [new])
    else:
        head = await stored.append(where, chain, [new])
    _tell(chain, act, head)


@dataclass(frozen=True, slots=True)
class Opened:
    """One secret that was decrypted, and by which part."""

    tenant_id: UUID
    owner_kind: str
    owner_id: str
    name: str
    version: int


class Decryptions:
    """Collects what was decrypted and appends it in batches, so that whoever opens a secret waits for nothing.

    A process that is killed loses what it noted in the last second. While PostgreSQL is away the notes wait.
    """

    def __init__(self, part_name: str) -> None:
        """Take the name of the process that decrypts."""
        self._actor = part(part_name)
        self._noted: Counter[Opened] = Counter()
        self._turn = threading.Lock()
        self.lost = 0

    def note(self, opened: Opened) -> None:
        """Note one decryption; any thread may. Beyond ten thousand secrets that wait, further ones are only counted."""
        self._add(opened, 1)

    @asynccontextmanager
    async def writing(self, database: Database) -> AsyncIterator[None]:
        """Append what was noted every second while the block runs, and once more at its end."""
        writer = asyncio.create_task(self._write(database))
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.wait([writer])
            with contextlib.suppress(*TRY_AGAIN):
                await self.flush(database)

    async def flush(self, database: Database) -> None:
        """Append what was noted so far, one transaction per tenant."""
        with self._turn:
            noted, self._noted = self._noted, Counter()
        by_tenant: dict[UUID, list[tuple[Opened, int]]] = {}
        for opened, times in noted.items():
            by_tenant.setdefault(opened.tenant_id, []).append((opened, times))
        while by_tenant:
            tenant_id, group = by_tenant.popitem()
            try:
                async with database.tenant(tenant_id) as con:
                    await stored.append(con, tenant_id, [self._entry(opened, times) for opened, times in group])
            except BaseException:
                for opened, times in (*group, *(pair for rest in by_tenant.values() for pair in rest)):
                    self._add(opened, times)
                raise

    def _add(self, opened: Opened, times: int) -> None:
        with self._turn:
            if opened in self._noted or len(self._noted) < MAX_WAITING:
                self._noted[opened] += times
            else:
                self.lost += times

    async def _write(self, database: Database) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush(database)
            except TRY_AGAIN as error:
                log.warning("decryptions are not in the audit trail yet: %s", error)

    def _entry(self, opened: Opened, times: int) -> NewEntry:
        facts = {"name": opened.name, "version": str(opened.version), "times": str(times)}
        return entry(self._actor, "secret.decrypt", f"{opened.owner_kind}:{opened.owner_id}", facts)


def entry(actor: Actor, act: str, subject: str, details: Mapping[str, str]) -> NewEntry:
    """Return an entry as it is stored; see :func:`record`."""
    facts = {_text(name): _text(value) for name, value in details.items()}
    return NewEntry(
        actor.kind, _text(actor.name), _text(actor.id), act, _text(subject), msgspec.json.encode(facts).decode()
    )


def _text(value: str) -> str:
    """Return text PostgreSQL stores, of bounded length."""
    cleaned = value.encode(errors="replace").decode().replace("\0", " ")
    return cleaned if len(cleaned) <= MAX_TEXT else cleaned[: MAX_TEXT - 1] + "…"


def _tell(chain: UUID, act: str, head: Head) -> None:
    # Logs that are kept elsewhere show later whether a whole chain was rewritten.
    log.info("audit chain %s entry %d %s hash %s", chain, head.number, act, head.hash.hex())
