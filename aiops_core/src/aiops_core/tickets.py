"""The ticket, its evidence and its note: the Structs that cross wires and the database."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Priority = Literal["critical", "high", "medium", "low", "unknown"]
"""Normalised urgency; the vendor's own word stays beside it."""

TicketKind = Literal["opened", "updated", "resolved", "commented", "other"]
"""What a webhook says happened to a ticket."""

TicketState = Literal["open", "resolved", "unknown"]

SectionKind = Literal["summary", "similar", "documentation", "systems", "triage", "next_steps"]
"""The parts of a note, in the order a technician reads them."""


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A requester or technician as the ticketing tool names them."""

    id: str | None = None
    name: str | None = None
    email: str | None = None


class TicketComment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comment or note already on a ticket, as plain text."""

    text: str
    author: Person | None = None
    created_at: datetime | None = None
    internal: bool = False


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A normalised ITSM record. All text is plain text; times are timezone-aware.

    ``id`` is what the ticketing tool's API takes; ``number`` is what people read, if it differs.
    ``priority_word`` and ``status_word`` keep the vendor's spelling.
    """

    id: str
    title: str
    description: str = ""
    number: str | None = None
    url: str | None = None
    state: TicketState = "unknown"
    status_word: str | None = None
    priority: Priority = "unknown"
    priority_word: str | None = None
    category: str | None = None
    requester: Person | None = None
    technician: Person | None = None
    site: str | None = None
    labels: tuple[str, ...] = ()
    comments: tuple[TicketComment, ...] = ()
    resolution: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    resolved_at: datetime | None = None
    revision: str | None = None

    @property
    def text(self) -> str:
        """Title and description, the words by which similar tickets are found."""
        return f"{self.title}\n{self.description}".strip()


class TicketMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a webhook says about itself; a hint only, the ticket is fetched back.

    ``delivery_id`` is the sender's own identifier of this webhook, the same across its resends.
    ``revision`` changes when the ticket changes; ``None`` when the payload tells neither.
    ``effect_reference`` is the reference of one of our own notes found in the payload.
    """

    ticket_id: str
    kind: TicketKind
    delivery_id: str | None = None
    actor_id: str | None = None
    revision: str | None = None
    occurred_at: datetime | None = None
    effect_reference: str | None = None


class TicketQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which tickets to read from the ticketing tool. Times are timezone-aware."""

    resolved_only: bool = True
    updated_since: datetime | None = None
    page_size: int = 100


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One retrieved item. ``score`` orders items of one source; scores of two sources do not compare.

    ``source`` names the tool's kind of item (``ticket``, ``article``, ``asset``, …) and ``ref`` the item in it.
    """

    source: str
    ref: str
    title: str
    text: str
    url: str | None = None
    time: datetime | None = None
    score: float = 0.0
    category: str | None = None
    priority: Priority | None = None
    resolution: str | None = None


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sentence of a note and the numbers of the evidence it rests on, counted from 1."""

    text: str
    citations: tuple[int, ...] = ()


class NoteSection(msgspec.Struct, frozen=True):
    """Claims under one heading of the note."""

    kind: SectionKind
    claims: tuple[Claim, ...] = ()


class Triage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A suggestion by vote of similar tickets. ``confidence`` is the winning share, 0 to 1."""

    category: str | None = None
    category_confidence: float = 0.0
    priority: Priority | None = None
    priority_confidence: float = 0.0
    votes: int = 0


class NoteDraft(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an LLM backend or an agent answers: claims under headings.

    A backend fills ``sections`` only. An agent adds the numbered ``evidence`` its citations point at
    (citation 1 is ``evidence[0]``), a ``triage`` suggestion and ``notices``: what was not available.
    """

    sections: tuple[NoteSection, ...]
    evidence: tuple[Evidence, ...] = ()
    triage: Triage | None = None
    notices: tuple[str, ...] = ()


class Heading(msgspec.Struct, frozen=True, tag="heading"):
    """A heading; ``level`` 1 is the note's title."""

    text: str
    level: int = 2


class Paragraph(msgspec.Struct, frozen=True, tag="paragraph"):
    """Plain text, never markup."""

    text: str


class ListBlock(msgspec.Struct, frozen=True, tag="list"):
    """A bulleted or numbered list of plain-text or link items."""

    items: tuple[str | Link, ...]
    ordered: bool = False
    start: int = 1
    """The number of the first item; a numbered list goes on after a code block."""


class Code(msgspec.Struct, frozen=True, tag="code"):
    """Preformatted text: a log, a command."""

    text: str
    language: str | None = None


class Link(msgspec.Struct, frozen=True, tag="link"):
    """A link whose host was on the tenant's list when the note was composed."""

    text: str
    url: str


Block = Heading | Paragraph | ListBlock | Code | Link


class Enhancement(msgspec.Struct, frozen=True, kw_only=True):
    """The finished note as blocks; each ticketing tool renders it purely to its own markup."""

    body: tuple[Block, ...]
