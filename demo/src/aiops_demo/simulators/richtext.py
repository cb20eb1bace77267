"""Jira's rich text as Jira itself treats it: documents checked, wiki markup and documents read and converted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

INLINE = frozenset({"text", "hardBreak", "mention", "emoji", "inlineCard", "date", "status", "placeholder"})
LISTS = {"bulletList": "listItem", "orderedList": "listItem", "taskList": "taskItem", "decisionList": "decisionItem"}
BLOCKS = frozenset(
    {"paragraph", "heading", "codeBlock", "blockquote", "panel", "rule", "table", "mediaSingle", "mediaGroup", "expand",
     "blockCard", "embedCard", *LISTS}
)  # fmt: skip
MARKS = frozenset({"link", "strong", "em", "code", "strike", "underline", "subsup", "textColor", "backgroundColor"})
KEYS = frozenset({"type", "attrs", "content", "marks", "text", "version"})
MAX_HEADING = 6


def adf_error(document: Any) -> str | None:
    """Return why Jira refuses a value as a document, ``None`` when it takes it."""
    if not isinstance(document, dict) or document.get("type") != "doc":
        return "is not an Atlassian Document Format document"
    if document.get("version") != 1:
        return "has no version 1"
    if not isinstance(document.get("content"), list):
        return "has no content"
    return next(_errors(document, BLOCKS), None)


def _errors(node: dict[str, Any], allowed: frozenset[str]) -> Iterator[str]:
    for child in node.get("content", []):
        kind = child.get("type") if isinstance(child, dict) else None
        if kind not in allowed:
            yield f"has a node {kind!r} inside {node['type']!r}"
            return
        if unknown := set(child) - KEYS:
            yield f"has unknown keys {sorted(unknown)} on {kind!r}"
        yield from _node_errors(child, kind)
        yield from _errors(child, _allowed_in(kind))


def _node_errors(node: dict[str, Any], kind: str) -> Iterator[str]:
    attrs = node.get("attrs") or {}
    if kind == "text":
        if not isinstance(node.get("text"), str) or not node["text"]:
            yield "has an empty text node"
        yield from _mark_errors(node.get("marks") or [])
    if kind == "heading" and attrs.get("level") not in range(1, MAX_HEADING + 1):
        yield "has a heading without a level from 1 to 6"
    if kind in LISTS and not node.get("content"):
        yield f"has an empty {kind}"
    if kind == "codeBlock" and any(child.get("marks") for child in node.get("content", [])):
        yield "has marks inside a codeBlock"


def _mark_errors(marks: list[dict[str, Any]]) -> Iterator[str]:
    for mark in marks:
        if mark.get("type") not in MARKS:
            yield f"has an unknown mark {mark.get('type')!r}"
        if mark.get("type") == "link" and not isinstance((mark.get("attrs") or {}).get("href"), str):
            yield "has a link without href"


def _allowed_in(kind: str) -> frozenset[str]:
    if kind in LISTS:
        return frozenset({LISTS[kind]})
    if kind == "codeBlock":
        return frozenset({"text"})
    if kind in {"paragraph", "heading", "taskItem", "decisionItem"}:
        return INLINE
    nested = {
        "listItem": frozenset({"paragraph", "codeBlock", "mediaSingle", *LISTS}),
        "blockquote": frozenset({"paragraph", "codeBlock", "mediaSingle", *LISTS}),
        "panel": BLOCKS,
        "expand": BLOCKS,
        "table": frozenset({"tableRow"}),
        "tableRow": frozenset({"tableCell", "tableHeader"}),
        "tableCell": BLOCKS,
        "tableHeader": BLOCKS,
        "mediaSingle": frozenset({"media"}),
        "mediaGroup": frozenset({"media"}),
    }
    return nested.get(kind, frozenset())


def adf_text(node: Any) -> str:
    """Return a document's text, one block per line."""
    return re.sub(r"\n+", "\n", "".join(_adf_parts(node))).strip()


def _adf_parts(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if node.get("type") == "hardBreak":
        yield "\n"
    if isinstance(node.get("text"), str):
        yield node["text"]
    for child in node.get("content") or []:
        yield from _adf_parts(child)
    if node.get("type") not in INLINE:
        yield "\n"


_VERBATIM = re.compile(r"^\{(noformat|code)(?::[^}\n]*)?\}\n?(.*?)\n?\{\1\}", re.S | re.M)


def wiki_text(markup: str) -> str:
    """Return the text wiki markup shows."""
    parts: list[str] = []
    end = 0
    for found in _VERBATIM.finditer(markup):
        parts += [_prose(markup[end : found.start()]), found[2]]
        end = found.end()
    return re.sub(r"\n+", "\n", "".join([*parts, _prose(markup[end:])])).strip()


def _prose(markup: str) -> str:
    text = re.sub(r"^(?:h[1-6]\. |[*#]+ )", "", markup, flags=re.M)
    text = re.sub(r"(?<!\\)\[((?:\\.|[^\]|\\])*)\|[^\]]*\]", r"\1", text)
    return unescape(re.sub(r"\\([^A-Za-z0-9\s\\])", r"\1", text))


def as_adf(body: Any) -> Any:
    """Return what API version 3 shows of a text, given as a document or as wiki markup."""
    if not isinstance(body, str):
        return body
    content: list[dict[str, Any]] = []
    end = 0
    for found in _VERBATIM.finditer(body):
        content += _paragraphs(body[end : found.start()])
        content.append({"type": "codeBlock", "content": [{"type": "text", "text": found[2]}] if found[2] else []})
        end = found.end()
    return {"type": "doc", "version": 1, "content": [*content, *_paragraphs(body[end:])]}


def as_wiki(body: Any) -> Any:
    """Return what API version 2 shows of a text, given as a document or as wiki markup."""
    return adf_text(body) if isinstance(body, dict) else body


def _paragraphs(markup: str) -> Iterator[dict[str, Any]]:
    for block in re.split(r"\n\s*\n", markup.strip()):
        if heading := re.fullmatch(r"h([1-6])\.\s+(.+)", block):
            text = {"type": "text", "text": heading[2]}
            yield {"type": "heading", "attrs": {"level": int(heading[1])}, "content": [text]}
        elif block.strip():
            yield {"type": "paragraph", "content": list(_lines(block))}


def _lines(block: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(block.splitlines()):
        if number:
            yield {"type": "hardBreak"}
        if line:
            yield {"type": "text", "text": line}
