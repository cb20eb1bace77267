"""Untrusted text made fit to show: no control or invisible characters, no link outside the tenant's list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from urllib.parse import urlsplit

URL = re.compile(r"(?:\b[a-z][a-z0-9+.-]{1,15}:)?//[^\s<>\"'`]+|\bwww\.[^\s<>\"'`]+|\b(?:javascript|data|vbscript):\S+", re.I)
MARKDOWN_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\(([^)\s]{1,2000})[^)\n]{0,300}\)")
REMOVED = "(link removed)"


def clean_text(text: str, *, keep_lines: bool = False) -> str:
    """Return ``text`` without control, invisible and direction-changing characters, white space folded.

    Args:
        text: Any text.
        keep_lines: Keep line breaks and indentation, for logs and code.
    """
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    visible = "".join(c for c in normal if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    return visible.strip("\n") if keep_lines else " ".join(visible.split())


def link_allowed(url: str, link_hosts: Collection[str]) -> bool:
    """Return whether ``url`` is an http(s) address on one of the hosts or a subdomain of ``.host`` entries."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower().rstrip(".")
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password:
        return False
    return any(host == h or (h.startswith(".") and host.endswith(h)) for h in link_hosts)


def without_foreign_links(text: str, link_hosts: Collection[str]) -> str:
    """Replace every address outside the list by a remark; Markdown links and images keep their words only."""
    plain = MARKDOWN_LINK.sub(lambda m: f"{m[1]} {m[2]}".strip(), text)
    return URL.sub(lambda m: m[0] if link_allowed(m[0].rstrip(".,;:!?)]}"), link_hosts) else REMOVED, plain)


def quoted(text: str, limit: int) -> str:
    """Return untrusted text for a prompt: cleaned, cut at ``limit`` characters, unable to close its own quotation.

    The quotation marks are lines of three angle brackets, which the text itself can no longer contain.
    """
    body = clean_text(text, keep_lines=True).replace("<<<", "< < <").replace(">>>", "> > >")
    cut = body[:limit] + (" …" if len(body) > limit else "")
    return f"<<<\n{cut}\n>>>"
