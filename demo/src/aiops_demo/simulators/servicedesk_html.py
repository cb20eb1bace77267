"""What ServiceDesk Plus keeps of a note's HTML: known tags without attributes, no comments, nothing hidden."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser

from aiops_demo.simulators.base import Json, html_text
from aiops_demo.simulators.reading import Reading

KEPT = frozenset({
    "a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p",
    "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
})  # fmt: skip
VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
DROPPED = frozenset({
    "script", "style", "head", "title", "iframe", "object", "template", "noscript", "textarea",
})  # fmt: skip
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0", re.IGNORECASE)
SAFE_ADDRESS = re.compile(r"(?:https?|mailto):", re.IGNORECASE)


def sanitised(html: str) -> str:
    """Return the HTML as the product stores it."""
    parser = _Sanitiser()
    parser.feed(html)
    parser.close()
    return "".join(parser.kept)


class _Sanitiser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        hidden = tag in DROPPED or "hidden" in values or HIDDEN.search(values.get("style", "")) is not None
        if self._inside or hidden:
            if tag not in VOID:
                self._inside.append(tag)
        elif tag in KEPT:
            address = values.get("href", "") if tag == "a" else ""
            self.kept.append(f'<a href="{escape(address)}">' if SAFE_ADDRESS.match(address) else f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if self._inside:
            if tag in self._inside:
                del self._inside[self._inside.index(tag) :]
        elif tag in KEPT and tag not in VOID:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.kept.append(escape(data, quote=False))


def reading_of(record: Json, notes: Sequence[Json]) -> Reading:
    """Return the texts of a request and its notes."""
    return Reading(
        str(record.get("display_id") or record["id"]),
        str(record.get("subject") or ""),
        html_text(str(record.get("description") or "")),
        [(_heading(note), html_text(note["description"])) for note in notes],
    )


def _heading(note: Json) -> str:
    by, at = note.get("added_by") or note["created_by"], note.get("added_time") or note["created_time"]
    return f"{by['name']}, {at['display_value']}{'' if note['show_to_requester'] else ', internal'}"
