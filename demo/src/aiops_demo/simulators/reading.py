"""What a person reads at a ticket's address: its texts on a plain page, nothing to change and nothing that runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}pre{font:inherit;white-space:pre-wrap}"


@dataclass(frozen=True, slots=True)
class Reading:
    """A ticket's texts; ``notes`` are who and when beside what they wrote, oldest first."""

    ticket: str
    title: str
    description: str
    notes: Sequence[tuple[str, str]]


def page_of(reading: Reading) -> bytes:
    """Return the page, every text escaped."""
    title = escape(f"{reading.ticket}: {reading.title}")
    notes = "".join(f"<h3>{escape(head)}</h3><pre>{escape(text)}</pre>" for head, text in reading.notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><pre>{escape(reading.description)}</pre><h2>Notes</h2>{notes or '<p>None yet.</p>'}</html>"
    ).encode()
