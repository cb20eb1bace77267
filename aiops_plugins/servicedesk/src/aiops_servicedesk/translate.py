"""ServiceDesk Plus records to the words of AI Ops, purely."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from aiops_core.ticketing import RemoteRef
from aiops_core.tickets import Person, Priority, Ticket, TicketState
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.html_text import html_to_text
from aiops_servicedesk.wire import Moment, Named, NoteRecord, RequestRecord, ResolutionText

PRIORITIES: Final[Mapping[str, Priority]] = {
    "critical": "critical",
    "urgent": "critical",
    "high": "high",
    "medium": "medium",
    "normal": "medium",
    "low": "low",
}
OPEN_STATUSES: Final = frozenset(
    {"open", "onhold", "on hold", "in progress", "inprogress", "assigned", "reopened", "pending"}
)
SOLVED_STATUSES: Final = frozenset({"resolved", "closed", "completed"})
UNTITLED: Final = "(no subject)"
_TICKET_ID = re.compile(r"[0-9]{1,20}")
_MAX_MILLISECONDS: Final = 32_503_680_000_000  # the year 3000


def ticket_id_of(text: str) -> str | None:
    """Return an id as the API takes it, ``None`` for anything but 1 to 20 ASCII digits."""
    return text if _TICKET_ID.fullmatch(text) else None


def ticket_of(record: RequestRecord, config: ServiceDeskConfig, resolution: str | None = None) -> Ticket:
    """Return the normalised ticket.

    Args:
        record: The ticket as the API gives it in full.
        config: Gives addresses and the portal's words for solved.
        resolution: HTML of the resolution, where it was read apart.
    """
    updated = moment_of(record.last_updated_time)
    status, priority = _name(record.status), _name(record.priority)
    number = str(record.display_id) if record.display_id is not None else None
    return Ticket(
        id=str(record.id),
        number=number if number != str(record.id) else None,
        url=ticket_url(config, str(record.id)),
        title=html_to_text(record.subject).strip() or UNTITLED,
        description=html_to_text(record.description),
        state=state_of(record, config.resolved_statuses),
        status_word=status,
        priority=PRIORITIES.get((priority or "").strip().casefold(), "unknown"),
        priority_word=priority,
        category=_name(record.category),
        requester=person_of(record.requester),
        technician=person_of(record.technician),
        site=" / ".join(name for part in (record.account, record.site) if (name := _name(part))) or None,
        labels=tuple(name for part in (record.subcategory, record.item) if (name := _name(part))),
        resolution=html_to_text(resolution or resolution_of(record)) or None,
        created_at=moment_of(record.created_time),
        updated_at=updated or moment_of(record.created_time),
        resolved_at=moment_of(record.resolved_time) or moment_of(record.completed_time),
        revision=_revision(record),
    )


def state_of(record: RequestRecord, resolved_statuses: Collection[str]) -> TicketState:
    """Return whether the ticket is solved, by the portal's words, the product's own and then its times."""
    status = record.status if isinstance(record.status, Named) else Named(name=record.status)
    words = {word.strip().casefold() for word in (status.name, status.internal_name) if word}
    if words & ({word.strip().casefold() for word in resolved_statuses} | SOLVED_STATUSES):
        return "resolved"
    if words & OPEN_STATUSES or status.in_progress:
        return "open"
    return "resolved" if record.resolved_time or record.completed_time else "unknown"


def resolution_of(record: RequestRecord) -> str | None:
    """Return the resolution's HTML, if the record has one."""
    resolution = record.resolution
    return resolution.content if isinstance(resolution, ResolutionText) else resolution


def person_of(named: Named | None) -> Person | None:
    """Return the person, ``None`` when nothing names one."""
    if named is None or (named.id is None and not named.name and not named.email_id):
        return None
    return Person(id=_id(named), name=named.name or None, email=named.email_id or None)


def note_author(note: NoteRecord) -> str | None:
    """Return the id of who wrote the note, if the answer tells."""
    return next((str(by.id) for by in (note.added_by, note.created_by) if by is not None and by.id is not None), None)


def note_time(note: NoteRecord) -> datetime | None:
    """Return when the note was written, if the answer tells."""
    return moment_of(note.added_time) or moment_of(note.created_time)


def note_ref(note: NoteRecord, ticket_id: str, config: ServiceDeskConfig) -> RemoteRef:
    """Return the note as AI Ops names it."""
    return RemoteRef(id=str(note.id), url=ticket_url(config, ticket_id), created_at=note_time(note))


def moment_of(moment: Moment | None) -> datetime | None:
    """Return the time in UTC, ``None`` for anything but milliseconds since 1970."""
    value = milliseconds_of(moment)
    return None if value is None else datetime.fromtimestamp(value / 1000, tz=UTC)


def milliseconds_of(moment: Moment | None) -> int | None:
    """Return milliseconds since 1970."""
    text = str(moment.value) if moment is not None and moment.value is not None else ""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_MILLISECONDS))):
        return None
    return value if 0 < (value := int(text)) < _MAX_MILLISECONDS else None


def api_base(config: ServiceDeskConfig) -> str:
    """Return the address up to, not including, ``/api/v3``."""
    base = config.base_url.rstrip("/")
    return f"{base}/app/{config.portal}" if config.portal else base


def ticket_url(config: ServiceDeskConfig, ticket_id: str) -> str:
    """Return the ticket's page for people."""
    if config.edition == "cloud":
        return f"{api_base(config)}/ui/requests/{ticket_id}/details"
    return f"{config.base_url.rstrip('/')}/WorkOrder.do?woMode=viewWO&woID={ticket_id}"


def _revision(record: RequestRecord) -> str | None:
    value = milliseconds_of(record.last_updated_time) or milliseconds_of(record.created_time)
    return None if value is None else str(value)


def _name(named: Named | str | None) -> str | None:
    return (named.name if isinstance(named, Named) else named) or None


def _id(named: Named) -> str | None:
    return None if named.id is None else str(named.id)
