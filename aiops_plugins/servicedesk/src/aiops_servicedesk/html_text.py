"""HTML of descriptions and resolutions to plain text, in time linear in its length.

The standard library's parser takes quadratic time over unclosed markup, and a requester chooses this text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label",
    "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var", "wbr",
})  # fmt: skip
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "main", "nav",
    "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "ol", "li",
})  # fmt: skip
_OTHER = frozenset({
    "area", "audio", "base", "br", "button", "canvas", "col", "colgroup", "head", "iframe", "img", "input", "link",
    "meta", "noscript", "object", "option", "param", "picture", "script", "select", "source", "style", "svg", "td",
    "template", "textarea", "th", "title", "video", "math", "map",
})  # fmt: skip
_KNOWN = _INLINE | _BLOCKS | _OTHER
_DROPPED = frozenset({
    "audio", "canvas", "head", "iframe", "math", "noscript", "object", "script", "style", "svg", "template", "title",
    "video",
})  # fmt: skip
_VOID = frozenset({
    "area", "base", "br", "col", "hr", "img", "input", "link", "meta", "param", "source", "wbr",
})  # fmt: skip
_PARAGRAPHS = frozenset({
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre", "blockquote", "dl",
})  # fmt: skip

MAX_CHARACTERS = 200_000
"""What is read of a text: a million unclosed tags take a second, in which the worker does nothing else."""

_TAG_NAME = re.compile(r"(/?)([A-Za-z][A-Za-z0-9:._-]*)")
_HIDDEN = re.compile(r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden", re.I)
_HAS_MARKUP = re.compile(rf"</?(?:{'|'.join(sorted(_KNOWN))})(?=[\s/>])", re.I)
_SPACES = re.compile(r"[ \t\r\n\f]+")


def html_to_text(html: str | None) -> str:
    """Return what a reader of ``html`` sees: lists marked, cells parted by bars, scripts and hidden parts left out.

    Text without any known tag is taken as plain text and keeps its lines. Only the first ``MAX_CHARACTERS`` are read.
    """
    if not html:
        return ""
    html = html[:MAX_CHARACTERS]
    if not _HAS_MARKUP.search(html):
        return _tidied(unescape(html).replace("\r\n", "\n"))
    writer = _Writer()
    for kind, value in _tokens(html):
        if kind == "text":
            writer.text(value)
        else:
            writer.tag(value)
    return _tidied("".join(writer.parts))


def _tokens(html: str) -> Iterator[tuple[str, str]]:
    """Yield ``("text", …)`` and ``("tag", inside of the angle brackets)``, comments and declarations as tags too."""
    at = 0
    while at < len(html):
        opening = html.find("<", at)
        if opening < 0:
            break
        yield "text", html[at:opening]
        comment = html.startswith("<!--", opening)
        markup = comment or html.startswith(("<!", "<?"), opening) or _TAG_NAME.match(html, opening + 1) is not None
        if not markup:
            yield "text", "<"
            at = opening + 1
            continue
        end = html.find("-->" if comment else ">", opening + 1)
        if end < 0:
            at = len(html) if comment else opening
            break
        yield "tag", html[opening + 1 : end]
        at = end + (3 if comment else 1)
    yield "text", html[at:]


class _Writer:
    """Collects the text of a stream of tags."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._dropping: list[str] = []
        self._lists: list[int | None] = []
        self._pre = 0
        self._bullet_open = False

    def text(self, raw: str) -> None:
        if self._dropping or not raw:
            return
        text = unescape(raw)
        if not self._pre:
            text = _SPACES.sub(" ", text)
            if not self.parts or self.parts[-1].endswith(("\n", " ")):
                text = text.lstrip(" ")
        if text:
            self.parts.append(text)
            self._bullet_open = False

    def tag(self, inside: str) -> None:
        match = _TAG_NAME.match(inside)
        if match is None:
            return
        closing, name = bool(match[1]), match[2].lower()
        if name not in _KNOWN:
            self._unknown(inside, name)
        elif self._dropping:
            self._drop(name, closing=closing, inside=inside)
        elif not closing and name not in _VOID and (name in _DROPPED or _HIDDEN.search(inside)):
            if not inside.endswith("/"):
                self._dropping.append(name)
        else:
            self._layout(name, closing=closing)

    def _unknown(self, inside: str, name: str) -> None:
        """Show what only looks like a tag, such as ``<init>`` in a log; Office's ``<o:p>`` is markup."""
        if ":" not in name:
            self.text(f"<{inside}>")

    def _drop(self, name: str, *, closing: bool, inside: str) -> None:
        if name != self._dropping[-1]:
            return
        if closing:
            self._dropping.pop()
        elif not inside.endswith("/"):
            self._dropping.append(name)

    def _layout(self, name: str, *, closing: bool) -> None:
        if name in {"ul", "ol"}:
            self._list(name, closing=closing)
        if name == "br":
            self.parts.append("\n")
        elif name in {"td", "th"} and not closing:
            if self.parts and not self.parts[-1].endswith("\n"):
                self.parts.append(" | ")
        elif name in _BLOCKS:
            self._new_line(blank=name in _PARAGRAPHS)
        if name == "li" and not closing:
            self._bullet()
        if name == "pre":
            self._pre = max(0, self._pre + (-1 if closing else 1))

    def _list(self, name: str, *, closing: bool) -> None:
        if not closing:
            self._lists.append(0 if name == "ol" else None)
        elif self._lists:
            self._lists.pop()

    def _bullet(self) -> None:
        count = self._lists[-1] if self._lists else None
        if count is not None:
            self._lists[-1] = count + 1
        mark = "- " if count is None else f"{count + 1}. "
        self.parts.append("  " * max(0, min(len(self._lists), 8) - 1) + mark)
        self._bullet_open = True

    def _new_line(self, *, blank: bool) -> None:
        if not self.parts or self._bullet_open:
            return
        if not self.parts[-1].endswith("\n"):
            self.parts.append("\n")
        if blank and not self._lists:
            self.parts.append("\n")


def _tidied(text: str) -> str:
    """Trim lines on the right and leave at most one empty line between two."""
    lines: list[str] = []
    for raw in text.replace("\u00a0", " ").split("\n"):
        line = raw.rstrip()
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).strip("\n")
