"""The note as Jira takes it: an ADF document for Cloud, wiki markup for Data Center. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from aiops_core.tickets import Block, Code, Enhancement, Heading, Link, ListBlock, Paragraph

Node = dict[str, Any]

HEADING_SHIFT = 2
"""A comment's title is smaller than the page's own."""

LANGUAGE = re.compile(r"[a-z0-9+#.-]{1,20}", re.I)
WIKI_LANGUAGES = frozenset({"bash", "java", "javascript", "json", "python", "ruby", "sql", "xml", "yaml", "powershell"})


def adf(enhancement: Enhancement) -> Node:
    """Return the note as an ADF document, version 1."""
    return {"type": "doc", "version": 1, "content": [_adf_block(block) for block in enhancement.body]}


def _adf_block(block: Block) -> Node:
    match block:
        case Heading():
            level = {"level": _level(block)}
            return {"type": "heading", "attrs": level, "content": _adf_text(block.text.replace("\n", " "))}
        case Paragraph(text=text):
            return {"type": "paragraph", "content": _adf_text(text)}
        case ListBlock():
            kind = "orderedList" if block.ordered else "bulletList"
            order = {"attrs": {"order": block.start}} if block.ordered and block.start > 1 else {}
            return {"type": kind, **order, "content": [_adf_item(item) for item in block.items] or [_adf_item("")]}
        case Code(text=text, language=language):
            attrs = {"attrs": {"language": language}} if language and LANGUAGE.fullmatch(language) else {}
            return {"type": "codeBlock", **attrs, "content": [{"type": "text", "text": text}] if text else []}
        case Link():
            return {"type": "paragraph", "content": _adf_link(block)}


def _adf_item(item: str | Link) -> Node:
    content = _adf_link(item) if isinstance(item, Link) else _adf_text(item)
    return {"type": "listItem", "content": [{"type": "paragraph", "content": content}]}


def _adf_text(text: str) -> list[Node]:
    """Return text nodes with hard breaks between lines; Jira refuses an empty text node."""
    nodes: list[Node] = []
    for number, line in enumerate(text.splitlines()):
        if number:
            nodes.append({"type": "hardBreak"})
        if line:
            nodes.append({"type": "text", "text": line})
    return nodes


def _adf_link(link: Link) -> list[Node]:
    if not _linkable(link.url):
        return _adf_text(f"{link.text} ({link.url})")
    mark = {"type": "link", "attrs": {"href": link.url}}
    return [{"type": "text", "text": " ".join(link.text.split()) or link.url, "marks": [mark]}]


def wiki(enhancement: Enhancement) -> str:
    """Return the note as wiki markup in which every text is literal."""
    return "\n\n".join(_wiki_block(block) for block in enhancement.body)


def _wiki_block(block: Block) -> str:
    match block:
        case Heading():
            return f"h{_level(block)}. {escaped(' '.join(block.text.split()))}"
        case Paragraph(text=text):
            return escaped(text)
        case ListBlock(items=items, ordered=True, start=start) if start > 1:  # wiki markup counts from 1 only
            return "\n".join(f"{number}. {_wiki_item(item)}" for number, item in enumerate(items, start))
        case ListBlock(items=items, ordered=ordered):
            mark = "#" if ordered else "*"
            return "\n".join(f"{mark} {_wiki_item(item)}" for item in items)
        case Code():
            return _wiki_code(block)
        case Link():
            return _wiki_link(block)


def _wiki_item(item: str | Link) -> str:
    return _wiki_link(item) if isinstance(item, Link) else escaped(" ".join(item.split()))


def _wiki_link(link: Link) -> str:
    text = escaped(" ".join(link.text.split()))
    if not _linkable(link.url) or re.search(r"[\[\]|{}\\\s!^~]", link.url):
        return f"{text} ({escaped(link.url)})"
    return f"[{text}|{link.url}]" if text else f"[{link.url}]"


def _wiki_code(block: Code) -> str:
    """Return a preformatted block under whichever tag its text does not contain; a text with both loses one."""
    language = (block.language or "").lower()
    if "{code" not in block.text.lower() and language in WIKI_LANGUAGES:
        return f"{{code:{language}}}\n{block.text}\n{{code}}"
    if "{noformat" not in block.text.lower():
        return f"{{noformat}}\n{block.text}\n{{noformat}}"
    text = re.sub(r"\{(code)", r"{ \1", block.text, flags=re.I)
    return f"{{code}}\n{text}\n{{code}}"


_ENTITY = re.compile(r"&(?=#?\w{1,10};)")
_ALWAYS = re.compile(r"[{}\[\]|]")
_BETWEEN = re.compile(r"(?<![^\W_])[*_+^~?!#-]|[*_+^~?!#-](?![^\W_])")
_LINE_START = re.compile(r"^([ \t]*(?:h[1-6]|bq))\.", re.M)
_ICON = re.compile(r"\((?=(?:[xiyn/!?+*-]|on|off|\*[rgby]|flag|flagoff)\))")
_SMILEY = re.compile(r"[:;](?=[()DPp](?!\w))")
_SCHEME = re.compile(r"\b([a-z][a-z0-9+.-]{1,15}):(?=//|\S+@)|\b(mailto|javascript|data|file):", re.I)


def escaped(text: str) -> str:
    """Return ``text`` as wiki markup that shows exactly it: no formatting, macro, mention, link or icon.

    Backslashes and the colons of addresses and smileys become entities, for which wiki markup has no working escape;
    marks inside a word, as in ``fs-01_a``, do not format and stay.
    """
    plain = _ENTITY.sub("\x01", text.replace("\x00", "").replace("\x01", "")).replace("\\", "\x00")
    plain = _ALWAYS.sub(r"\\\g<0>", plain)
    plain = _BETWEEN.sub(r"\\\g<0>", plain)
    plain = _LINE_START.sub(r"\1\\.", plain)
    plain = _ICON.sub(r"\\\g<0>", plain)
    plain = _SMILEY.sub(lambda m: f"&#{ord(m[0])};", plain)
    plain = _SCHEME.sub(lambda m: f"{m[1] or m[2]}&#58;", plain)
    return plain.replace("\x00", "&#92;").replace("\x01", "&amp;")


def _level(block: Heading) -> int:
    return max(1, min(6, block.level + HEADING_SHIFT))


def _linkable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
