"""The tenant's past tickets: what was like this one, and what fixed it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from aiops_core.tickets import Evidence, Person, Ticket
from aiops_host.data.retrieval import index, ranking
from aiops_host.data.retrieval.lexemes import Connection
from aiops_host.data.retrieval.words import clean

MAX_BODY = 20_000
MAX_FIELD = 500
MAX_URL = 2_000
QUOTED_BODY = 1_200
QUOTED_RESOLUTION = 2_000
BOTH = "+"
"""Joins the sources of a ticket that a file and a connection told of."""
_NOTHING = (None, "", "unknown")


class UpsertCount(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did to its items, by number of items."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: UpsertCount) -> UpsertCount:
        return UpsertCount(
            added=self.added + other.added,
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
        )


async def upsert(con: Connection, tickets: Sequence[Ticket], *, connection_id: UUID | None, source: str) -> UpsertCount:
    """Store the tickets and index title and description; one that is stored already is brought up to date.

    A ticket of one id that came once from a file and once through a connection is one ticket: it belongs to the
    connection, and what the later import leaves empty stays.

    Args:
        con: A connection inside a tenant session. Other writers of this tenant's history wait until it ends: give it
            a few hundred tickets at most.
        tickets: The last of several with one id counts.
        connection_id: The connection they were read through; None for a file. Two connections' ids are never compared.
        source: How they came here, in a word: ``import``, ``webhook``, ``csv``.
    """
    fresh = {row["ticket_id"]: row for row in map(_row, tickets)}
    await index.lock(con, "tickets")
    stored = await _stored(con, fresh, connection_id)
    rows = {key: _settled(row, stored.get(key), connection_id, source) for key, row in fresh.items()}
    new = [row for key, row in rows.items() if key not in stored]
    changed = [row for key, row in rows.items() if key in stored and _is_changed(row, stored[key])]
    reworded = [row for row in changed if _text(row) != _text(stored[row["ticket_id"]])]
    document_ids = {key: found["document_id"] for key, found in stored.items()}
    indexed = new + reworded
    if indexed:
        added = await index.add(con, "tickets", [_text(row) for row in indexed])
        document_ids.update(zip((row["ticket_id"] for row in indexed), added, strict=True))
    await con.executemany(_INSERT, [(document_ids[row["ticket_id"]], *row.values()) for row in new])
    await con.executemany(
        _UPDATE,
        [(stored[row["ticket_id"]]["document_id"], document_ids[row["ticket_id"]], *row.values()) for row in changed],
    )
    if reworded:
        await index.remove(con, "tickets", [stored[row["ticket_id"]]["document_id"] for row in reworded])
    await index.learn_if_grown(con, "tickets")
    return UpsertCount(added=len(new), changed=len(changed), unchanged=len(rows) - len(new) - len(changed))


async def similar(
    con: Connection,
    text: str,
    limit: int = 5,
    *,
    exclude_ticket_id: str | None = None,
    exclude_connection_id: UUID | None = None,
) -> list[Evidence]:
    """Return the past tickets most like ``text``, best first, with category, priority and resolution.

    Args:
        con: A connection inside a tenant session.
        text: Title and description of the ticket at hand.
        limit: The most tickets to return.
        exclude_ticket_id: The ticket at hand, which would find itself.
        exclude_connection_id: Its connection; a ticket of that id read through another connection is then kept.
    """
    excluded: set[int] = set()
    if exclude_ticket_id:
        excluded = await _documents(con, [exclude_ticket_id], exclude_connection_id, or_file=True)
    hits = await ranking.search(con, "tickets", text, limit + len(excluded))
    kept = [hit for hit in hits if hit.document_id not in excluded][:limit]
    if not kept:
        return []
    rows = await con.fetch(_QUOTED, [hit.document_id for hit in kept], QUOTED_BODY, QUOTED_RESOLUTION)
    found = {row["document_id"]: row for row in rows}
    return [_evidence(found[hit.document_id], hit.score) for hit in kept]


async def delete(con: Connection, ticket_ids: Iterable[str], *, connection_id: UUID | None = None) -> int:
    """Forget tickets, of one connection or of any, and return how many there were."""
    await index.lock(con, "tickets")
    document_ids = await _documents(con, ticket_ids, connection_id)
    await index.remove(con, "tickets", document_ids)
    return len(document_ids)


async def _documents(
    con: Connection, ticket_ids: Iterable[str], connection_id: UUID | None, *, or_file: bool = False
) -> set[int]:
    """Return the documents of tickets of one connection, or of any; with ``or_file`` those read from files too."""
    rows = await con.fetch(
        "select document_id from past_ticket where ticket_id = any($1::text[]) "
        "and ($2::uuid is null or connection_id = $2 or ($3 and connection_id is null))",
        [clean(ticket_id, MAX_FIELD) for ticket_id in ticket_ids],
        connection_id,
        or_file,
    )
    return {row["document_id"] for row in rows}


_QUOTED = """
select document_id, ticket_id, number, title, left(body, $2) as body, left(resolution, $3) as resolution,
       category, priority, url, resolved_at, created_at
from past_ticket where document_id = any($1::int[])
"""

_INSERT = """
insert into past_ticket (document_id, ticket_id, number, title, body, resolution, category, priority, priority_word,
                         url, requester, technician, created_at, resolved_at, digest, connection_id, source)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""

_UPDATE = """
update past_ticket
set document_id = $2, ticket_id = $3, number = $4, title = $5, body = $6, resolution = $7, category = $8,
    priority = $9, priority_word = $10, url = $11, requester = $12, technician = $13, created_at = $14,
    resolved_at = $15, digest = $16, connection_id = $17, source = $18, imported_at = now()
where document_id = $1
"""


async def _stored(con: Connection, rows: Mapping[str, Any], connection_id: UUID | None) -> dict[str, Any]:
    """Return what is stored of the tickets by their ids. Call :func:`index.lock` first."""
    namesakes: dict[str, list[Any]] = {}
    for found in await con.fetch(
        "select * from past_ticket where ticket_id = any($1::text[]) "
        "and ($2::uuid is null or connection_id is null or connection_id = $2) order by document_id",
        list(rows),
        connection_id,
    ):
        namesakes.setdefault(found["ticket_id"], []).append(found)
    same = {key: _same(rows[key], found, connection_id) for key, found in namesakes.items()}
    return {key: found for key, found in same.items() if found is not None}


def _same(row: Mapping[str, Any], namesakes: Sequence[Any], connection_id: UUID | None) -> Any:
    """Return which of the stored tickets of one id this one is.

    A ticket from a file may be of any connection; where several have its id, its title tells.
    """
    own = [found for found in namesakes if found["connection_id"] == connection_id]
    if own or len(namesakes) == 1:
        return (own or namesakes)[0]
    return next((found for found in namesakes if found["title"] == row["title"]), None)


def _settled(row: dict[str, Any], found: Any, connection_id: UUID | None, source: str) -> dict[str, Any]:
    """Return the row as it is to be stored.

    Where a file and a connection both told of the ticket, what the newcomer leaves empty stays as it was.
    """
    belongs, sources = connection_id, {source}
    if found is not None and (found["connection_id"] != connection_id or BOTH in found["source"]):
        row = {key: found[key] if value in _NOTHING else value for key, value in row.items()}
        belongs = connection_id or found["connection_id"]
        sources |= set(found["source"].split(BOTH))
    digest = hashlib.sha256(msgspec.json.encode(row)).digest()
    return {**row, "digest": digest, "connection_id": belongs, "source": clean(BOTH.join(sorted(sources)), MAX_FIELD)}


def _is_changed(row: Mapping[str, Any], found: Any) -> bool:
    return (row["digest"], row["connection_id"]) != (found["digest"], found["connection_id"])


def _row(ticket: Ticket) -> dict[str, Any]:
    return {
        "ticket_id": clean(ticket.id, MAX_FIELD),
        "number": _field(ticket.number),
        "title": clean(ticket.title, MAX_FIELD),
        "body": clean(ticket.description, MAX_BODY),
        "resolution": clean(ticket.resolution, MAX_BODY) if ticket.resolution else None,
        "category": _field(ticket.category),
        "priority": ticket.priority,
        "priority_word": _field(ticket.priority_word),
        "url": clean(ticket.url, MAX_URL) if ticket.url else None,
        "requester": _person(ticket.requester),
        "technician": _person(ticket.technician),
        "created_at": ticket.created_at,
        "resolved_at": ticket.resolved_at,
    }


def _text(row: Any) -> str:
    return f"{row['title']}\n{row['body']}"


def _field(value: str | None) -> str | None:
    return clean(value, MAX_FIELD) if value else None


def _person(person: Person | None) -> str | None:
    return _field(person.name or person.email or person.id) if person else None


def _evidence(row: Any, score: float) -> Evidence:
    return Evidence(
        source="ticket",
        ref=row["number"] or row["ticket_id"],
        title=row["title"],
        text=row["body"],
        url=row["url"],
        time=row["resolved_at"] or row["created_at"],
        score=score,
        category=row["category"],
        priority=None if row["priority"] == "unknown" else row["priority"],
        resolution=row["resolution"],
    )
