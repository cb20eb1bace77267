"""The audit trail as stored: appended by one function of the database, read by tenant, checked from its first entry."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from aiops_host.data.cursors import CursorInvalid
from aiops_host.data.session import Connection, Database

PLATFORM = UUID(int=0)
"""The chain of acts that belong to no tenant."""
MAX_PAGE = 200
MAX_CURSOR = 2**62
_BATCH = 1000

ActorKind = Literal["person", "token", "operator", "part", "stranger"]
"""``operator`` works on the command line, ``part`` is one of our own processes, ``stranger`` did not log in."""


class NewEntry(NamedTuple):
    """What is appended; ``details`` is a JSON object of texts."""

    kind: ActorKind
    actor: str
    actor_id: str
    act: str
    subject: str
    details: str


class Head(NamedTuple):
    """The end of a chain: how many entries it has, and the hash of the last."""

    number: int
    hash: bytes


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act: who did what to what, when. ``hash`` covers this entry and the one before."""

    number: int
    at: datetime
    actor_kind: ActorKind
    actor: str
    actor_id: str
    act: str
    subject: str
    details: dict[str, str]
    hash: str


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first; ``next`` asks for the page after this one."""

    items: list[AuditEntry]
    next: str | None


class AuditFilters(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries to list; ``act`` may end with a dot for all of a kind, as in ``connection.``."""

    act: str | None = None
    actor: str | None = None
    subject: str | None = None


class ChainReport(msgspec.Struct, frozen=True, kw_only=True):
    """What checking a chain found. ``number`` and ``hash`` are its head's; ``broken`` says what does not fit."""

    tenant_id: UUID
    entries: int
    number: int
    hash: str
    broken: str | None


async def append(con: Connection, chain: UUID, entries: Sequence[NewEntry]) -> Head:
    """Append to a chain, in the caller's transaction; return its new head."""
    columns = [list(column) for column in zip(*entries, strict=True)]
    row = await con.fetchrow("select * from audit_append($1, $2, $3, $4, $5, $6, $7)", chain, *columns)
    return Head(row["number"], row["hash"])


async def list_(
    database: Database, chain: UUID, filters: AuditFilters, *, limit: int, cursor: str | None = None
) -> AuditPage:
    """Return a page of a chain, newest first.

    Raises:
        CursorInvalid: The cursor is not one this list gave.
    """
    async with database.tenant(chain) as con:
        rows = await con.fetch(
            "select number, at, actor_kind, actor, actor_id, act, subject, details, encode(hash, 'hex') as hash "
            "from audit_entry where tenant_id = $1 and number < $2 "
            "and ($3::text is null or act = $3 or (right($3, 1) = '.' and starts_with(act, $3))) "
            "and ($4::text is null or actor = $4 or actor_id = $4) and ($5::text is null or subject = $5) "
            "order by number desc limit $6",
            chain,
            _number(cursor),
            filters.act,
            filters.actor,
            filters.subject,
            limit + 1,
        )
    items = [AuditEntry(**dict(row)) for row in rows[:limit]]
    return AuditPage(items=items, next=str(items[-1].number) if len(rows) > limit else None)


async def chains(database: Database) -> list[UUID]:
    """Return every chain there is, the platform's and those of tenants that are gone included."""
    async with database.role("app") as con:
        return [row["tenant_id"] for row in await con.fetch("select * from audit_chains()")]


async def check(database: Database, chain: UUID, noted: tuple[int, str] | None = None) -> ChainReport:
    """Walk a chain from its first entry and say where it does not fit.

    Found: an entry changed, removed, inserted or moved, and entries missing at the end. Not found: a chain whose head
    was rewritten with it, unless ``noted``, a number and a hash kept elsewhere, is of an entry that was rewritten.
    """
    number, before, broken = 0, b"", None
    async with database.tenant(chain) as con:
        while True:
            walked = number
            async for row in _walked(con, chain, number):
                number += 1
                if broken := _misfit(row, number, before, chain) or _unlike(row, noted):
                    break
                before = row["hash"]
            # Read after the entries: what was appended meanwhile is walked too, and nothing may stand beyond the head.
            found = await con.fetchrow("select number, hash from audit_head where tenant_id = $1", chain)
            head = Head(found["number"], found["hash"]) if found else Head(0, b"")
            if broken or head.number <= number or number == walked:
                break
    return ChainReport(
        tenant_id=chain,
        entries=number,
        number=head.number,
        hash=head.hash.hex(),
        broken=broken or _bad_end(head, number, before, noted),
    )


def _unlike(row: Any, noted: tuple[int, str] | None) -> str | None:
    if noted is None or row["number"] != noted[0] or row["hash"].hex() == noted[1]:
        return None
    return f"entry {noted[0]} has another hash than the one noted: the chain was written anew"


def _bad_end(head: Head, number: int, before: bytes, noted: tuple[int, str] | None) -> str | None:
    if head.number != number:
        return f"the head knows {head.number} entries, the chain ends with {number}"
    if head.hash != before:
        return f"the head's hash is not that of entry {number}"
    if noted is not None and noted[0] > number:
        return f"the chain ends with {number}, but entry {noted[0]} was noted: the chain was written anew"
    return None


async def _walked(con: Connection, chain: UUID, after: int) -> AsyncIterator[Any]:
    while True:
        rows = await con.fetch(
            "select number, (extract(epoch from at) * 1000000)::bigint::text as moment, actor_kind, actor, actor_id, "
            "act, subject, details::text as details, hash from audit_entry "
            "where tenant_id = $1 and number > $2 order by number limit $3",
            chain,
            after,
            _BATCH,
        )
        for row in rows:
            yield row
        if len(rows) < _BATCH:
            return
        after = rows[-1]["number"]


def _misfit(row: Any, number: int, before: bytes, chain: UUID) -> str | None:
    if row["number"] != number:
        return f"entry {number} is missing"
    names = ("moment", "actor_kind", "actor", "actor_id", "act", "subject", "details")
    parts = [str(chain), str(number), *(row[name] for name in names)]
    if row["hash"] != chained(before, parts):
        return f"entry {number} does not fit its hash and the entry before it"
    return None


def chained(before: bytes, parts: Sequence[str]) -> bytes:
    """Return the hash of an entry that follows the one with the hash ``before``; see ``audit_hash`` in the database."""
    encoded = [part.encode() for part in parts]
    return hashlib.sha256(before + b"".join(b"%d:%s" % (len(part), part) for part in encoded)).digest()


def _number(cursor: str | None) -> int:
    if cursor is None:
        return MAX_CURSOR
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > MAX_CURSOR:
        raise CursorInvalid
    return int(cursor)
