"""Jira's three kinds of rich text, read to plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any

import msgspec

from aiops_jira.wire import at, objects

MAX_TEXT = 50_000
MAX_DEPTH = 60

_HTML = re.compile(r"\s*<(!doctype|html|body|p|div|span|br|ul|ol|table|h[1-6]|pre|b|strong|i|em|a|font)\b[^>]*>", re.I)
_ADF_TEXT = re.compile(r'\s*\{.{0,200}"type"\s*:\s*"doc"', re.S)


def body_text(body: Any) -> str:
    """Return a description or comment body as plain text, whatever of ADF, wiki markup and HTML it is.

    Args:
        body: An ADF document, a string, or ``None``.
    """
    if isinstance(body, str):
        return _tidy(_string_text(body[: 4 * MAX_TEXT]))
    return _tidy("".join(_adf(body, 0)))


def plain_text(value: Any) -> str:
    """Return a field without markup, such as the summary, as one line; empty when it is no text."""
    return " ".join(_tidy(value[:MAX_TEXT]).split()) if isinstance(value, str) else ""


def _string_text(body: str) -> str:
    if _ADF_TEXT.match(body):
        try:
            return "".join(_adf(msgspec.json.decode(body), 0))
        except (msgspec.DecodeError, RecursionError):
            return body
    return _html_text(body) if _HTML.match(body) else wiki_text(body)


def _tidy(text: str) -> str:
    normal = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\x00", "")
    lines = (line.rstrip() for line in normal.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[:MAX_TEXT]


BLOCKS = frozenset(
    {
        "paragraph", "heading", "codeBlock", "blockquote", "panel", "rule", "listItem", "tableRow", "taskItem",
        "decisionItem", "mediaSingle", "mediaGroup", "expand", "nestedExpand", "blockCard", "embedCard",
    }
)  # fmt: skip


def _adf(node: Any, depth: int) -> Iterator[str]:
    """Yield the text of an ADF node, blocks ended by a line break; deeper than ``MAX_DEPTH`` is left out."""
    if depth > MAX_DEPTH:
        return
    kind = _string(at(node, "type"))
    yield from _inline(node, kind)
    if kind in {"listItem", "taskItem", "decisionItem"}:
        yield "- "
    children = objects(node, "content")
    for number, child in enumerate(children):
        text = "".join(_adf(child, depth + 1))
        if kind in {"tableCell", "tableHeader"}:
            text = " ".join(text.split())
        if kind == "tableRow" and number:
            yield " | "
        if kind == "listItem" and number == 0:
            text = text.removeprefix("\n")
        yield text
    if kind in BLOCKS and not (children and _string(at(children[-1], "type")) in BLOCKS):
        yield "\n"


def _inline(node: Any, kind: str) -> Iterator[str]:
    attrs = at(node, "attrs")
    match kind:
        case "text":
            yield _linked(node)
        case "hardBreak":
            yield "\n"
        case "mention" | "status" | "placeholder":
            yield _string(at(attrs, "text"))
        case "emoji":
            yield _string(at(attrs, "text")) or _string(at(attrs, "shortName"))
        case "inlineCard" | "blockCard" | "embedCard":
            yield _string(at(attrs, "url"))
        case "date":
            yield _date(at(attrs, "timestamp"))
        case "media":
            yield f"(file {name})" if (name := _string(at(attrs, "alt"))) else ""
        case "expand" | "nestedExpand":
            yield f"{title}\n" if (title := _string(at(attrs, "title"))) else ""


def _linked(node: Any) -> str:
    text = _string(at(node, "text"))
    for mark in objects(node, "marks"):
        href = _string(at(mark, "attrs", "href"))
        if at(mark, "type") == "link" and href and href != text:
            return f"{text} ({href})"
    return text


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _date(value: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(int(value) / 1000, UTC):%Y-%m-%d}"
    except (TypeError, ValueError, OverflowError, OSError):
        return ""


_VERBATIM = re.compile(r"\{(code|noformat)(?::[^}\n]*)?\}(.*?)(?:\{\1\}|\Z)", re.S)
_WIKI = (
    (re.compile(r"(?<!\\)\{(?:quote|panel|color|anchor|expand|section|column|align)(?::[^}\n]*)?\}"), ""),
    (re.compile(r"^[ \t]*(?:h[1-6]|bq)\.[ \t]+", re.M), ""),
    (re.compile(r"(?<!\\)\[\^([^\]|\n]+)\]"), r"(file \1)"),
    (re.compile(r"(?<!\\)\[~(?:accountid:)?([^\]\n]+)\]"), r"@\1"),
    (re.compile(r"(?<!\\)\[([^\]|\n]+)\|([^\]|\n]+)(?:\|[^\]\n]*)?\]"), r"\1 (\2)"),
    (re.compile(r"(?<!\\)\[((?:https?|mailto|ftp|file):[^\]|\s]+)\]"), r"\1"),
    (re.compile(r"(?<![\w\\!])!([^\s!|][^!|\n]{0,200}\.\w{2,5})(?:\|[^!\n]*)?!"), r"(file \1)"),
    (re.compile(r"^[ \t]*\|\|?(.*?)\|?\|?[ \t]*$", re.M), r"\1"),
    (re.compile(r"[ \t]*(?<!\\)\|\|?[ \t]*"), " | "),
    (re.compile(r"^[ \t]*[*#-]+[ \t]+(?=\S)", re.M), "- "),
    (re.compile(r"(?<![\w\\*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\\)\{\{(.+?)\}\}"), r"\1"),
    (re.compile(r"^-{4,}[ \t]*$", re.M), ""),
)


def wiki_text(markup: str) -> str:
    """Return wiki markup as plain text; code and preformatted parts are kept to the letter."""
    parts: list[str] = []
    end = 0
    for found in _VERBATIM.finditer(markup):
        parts += [_wiki_prose(markup[end : found.start()]), found[2]]
        end = found.end()
    return "".join([*parts, _wiki_prose(markup[end:])])


def _wiki_prose(markup: str) -> str:
    text = markup.replace("\r\n", "\n")
    for pattern, replacement in _WIKI:
        text = pattern.sub(replacement, text)
    return _unescaped(text)


def _unescaped(text: str) -> str:
    return unescape(re.sub(r"\\([{}\[\]*_+^~?!#|@&().:;-])", r"\1", text))


class _Html(HTMLParser):
    BREAKS = frozenset(
        {"p", "div", "br", "li", "tr", "pre", "ul", "ol", "table", "blockquote", "hr"} | {f"h{n}" for n in range(1, 7)}
    )
    HIDDEN = frozenset({"script", "style", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0
        self.verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in self.HIDDEN
        self.verbatim += tag == "pre"
        if tag in self.BREAKS:
            self.parts.append("\n")
        if tag == "li":
            self.parts.append("- ")
        if tag in {"td", "th"} and self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN and self.hidden > 0
        self.verbatim -= tag == "pre" and self.verbatim > 0
        if tag in self.BREAKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data if self.verbatim else re.sub(r"\s+", " ", data))


def _html_text(html: str) -> str:
    parser = _Html()
    parser.feed(html)
    parser.close()
    return re.sub(r"\n(?:[ \t]*\n)+", "\n", "".join(parser.parts))
