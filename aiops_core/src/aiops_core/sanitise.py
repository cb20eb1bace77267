"""Untrusted text made fit to show: no control or invisible characters, no link outside the tenant's list."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from urllib.parse import urlsplit

REMOVED = "(link removed)"

_TAIL = r"[^\s<>\"'`]"
URL = re.compile(
    rf"[a-z][a-z0-9+.-]{{1,30}}:[/\uff0f]{{2}}{_TAIL}*"  # any scheme with an authority; C:// is a path
    rf"|https?:{_TAIL}+"  # browsers take https:host, https:/host and https:\\host for https://host
    rf"|(?<![\w/])//(?={_TAIL}{{1,253}}\.){_TAIL}+"
    rf"|(?<![a-z0-9])www\.{_TAIL}+"
    rf"|(?<![a-z0-9])(?:javascript|vbscript):{_TAIL}+"
    rf"|(?<![a-z0-9])data:(?=[\w.+-]*[/;,]){_TAIL}+",
    re.I,
)
MARKDOWN_LINK = re.compile(r"!?\[([^\]\n]{0,300}+)\]\(\s{0,5}+<?([^)\s>]{1,2000}+)>?(?:\s[^)\n]{0,300}+)?\)")

_LINE_BREAK = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Blank letters, and variation selectors, which can carry a hidden message of any length.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_LINK = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:[/?#][^\s\\<>\"`]*)?", re.I)
_ANOTHER_ADDRESS = re.compile(r"https?:|//", re.I)
_QUOTATION_MARK = re.compile("<{3,}|>{3,}")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_AFTER_A_LINK = ".,;:!?)]}"


def clean_text(text: str, *, keep_lines: bool = False) -> str:
    """Return ``text`` without control, invisible and direction-changing characters, white space folded; idempotent.

    Args:
        text: Any text.
        keep_lines: Keep line breaks and indentation, for logs and code.
    """
    broken = _BLANK.sub("", _LINE_BREAK.sub("\n", text))
    normal = unicodedata.normalize("NFC", _visible(broken))
    return normal.strip("\n") if keep_lines else " ".join(normal.split())


def _visible(text: str) -> str:
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in _INVISIBLE)


def link_allowed(url: str, link_hosts: Collection[str]) -> bool:
    """Return whether ``url`` is an http(s) address on one of the hosts or a subdomain of ``.host`` entries."""
    # Backslashes, user names and non-ASCII hosts are read differently by different programs.
    if not _LINK.fullmatch(url) or clean_text(url) != url:
        return False
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return any(host == h or (h.startswith(".") and host.endswith(h)) for h in (h.lower() for h in link_hosts))


def without_foreign_links(text: str, link_hosts: Collection[str]) -> str:
    """Replace every address outside the list by a remark; Markdown links and images keep their words only."""
    plain = MARKDOWN_LINK.sub(lambda m: f"{m[1]} {m[2]}".strip(), text)
    shown = URL.sub(lambda m: _judged(m[0], link_hosts), plain)
    return shown.replace("](", "] (")  # what is left of nested Markdown links no longer is one


def quoted(text: str, limit: int) -> str:
    """Return untrusted text for a prompt: cleaned, cut at ``limit`` characters, unable to close its own quotation.

    The quotation marks are lines of three angle brackets, which the text itself can no longer contain.
    """
    body = _QUOTATION_MARK.sub(lambda m: " ".join(m[0]), clean_text(text, keep_lines=True))
    cut = body[:limit] + (" …" if len(body) > limit else "")
    return f"<<<\n{cut}\n>>>"


def _judged(address: str, link_hosts: Collection[str]) -> str:
    link = address.rstrip(_AFTER_A_LINK)
    rest = link.partition("://")[2]
    if link_allowed(link, link_hosts) and not _ANOTHER_ADDRESS.search(rest):
        return address
    return REMOVED + address[len(link) :]
