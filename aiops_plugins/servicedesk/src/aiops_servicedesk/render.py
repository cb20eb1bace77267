"""Enhancement blocks to the HTML of a note, purely: the same blocks always give the same text."""

from __future__ import annotations

import hashlib
import re
from html import escape
from urllib.parse import urlsplit

from aiops_core.markers import PREFIX, shown
from aiops_core.ticketing import EffectMarker
from aiops_core.tickets import Block, Code, Enhancement, Heading, Link, ListBlock, Paragraph

# What XML and some databases behind the product cannot store.
_UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_FOOTER = re.compile(rf"{PREFIX}([A-Z2-7]{{18}})\s{{1,9}}\(([A-Za-z0-9_.-]{{1,64}})\)")
Footer = tuple[str, str]
"""A reference and the installation it is unique in."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def render(enhancement: Enhancement, marker: EffectMarker) -> str:
    """Return the note's HTML, without attributes but ``href`` and a list's ``start``, ending with the reference people and we find it by.

    The product removes comments and hidden markup when it stores a note, so the reference is shown.
    """
    blocks = "".join(_block(block) for block in enhancement.body)
    return f"{blocks}<p>Reference: {shown(marker.reference)} ({_installation(marker)})</p>"


def footer_of(text: str) -> Footer | None:
    """Return the reference a note's text ends with; one quoted further up is another note's."""
    found = _FOOTER.findall(text)
    return found[-1] if found else None


def footer_for(marker: EffectMarker) -> Footer:
    """Return what :func:`footer_of` finds in the note that carries the marker."""
    return marker.reference, _installation(marker)


def _installation(marker: EffectMarker) -> str:
    name = marker.installation
    return name if _PLAIN_NAME.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()[:16]


def _block(block: Block) -> str:
    match block:
        case Heading(text=text, level=level):
            tag = f"h{min(max(level, 1) + 2, 6)}"
            return f"<{tag}>{_text(text)}</{tag}>"
        case Paragraph(text=text):
            return f"<p>{_lines(text)}</p>"
        case ListBlock(items=items, ordered=ordered, start=start):
            tag = "ol" if ordered else "ul"
            first = f' start="{start}"' if ordered and start > 1 else ""
            return f"<{tag}{first}>{''.join(f'<li>{_item(item)}</li>' for item in items)}</{tag}>"
        case Code(text=text):
            return f"<pre>{_text(text)}</pre>"
        case Link():
            return f"<p>{_link(block)}</p>"


def _item(item: str | Link) -> str:
    return _link(item) if isinstance(item, Link) else _lines(item)


def _link(link: Link) -> str:
    if not _is_web(link.url):
        return _lines(link.text)
    return f'<a href="{_text(link.url)}">{_text(link.text)}</a>'


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _lines(text: str) -> str:
    return _text(text).replace("\n", "<br>")


def _text(text: str) -> str:
    return escape(_UNSTORABLE.sub("", text.replace("\r\n", "\n")), quote=True)
