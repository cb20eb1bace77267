"""A note's blocks as a tree, the way the technician sees it on the ticket."""

from __future__ import annotations

from collections.abc import Iterable

from aiops_admin.safe import Node, h, safe_link
from aiops_core.tickets import Block, Code, Heading, Link, ListBlock, Paragraph

HEADINGS = {1: "h3", 2: "h4"}


def note(blocks: Iterable[Block]) -> Node:
    """Return the note."""
    return h("article", *(_block(block) for block in blocks), class_="note")


def _block(block: Block) -> Node:
    match block:
        case Heading():
            return h(HEADINGS.get(block.level, "h4"), block.text)
        case Paragraph():
            return h("p", block.text)
        case ListBlock():
            items = (h("li", _item(item)) for item in block.items)
            return h("ol", *items, start=str(block.start)) if block.ordered else h("ul", *items)
        case Code():
            return h("pre", block.text)
        case Link():
            return h("p", _item(block))


def _item(item: str | Link) -> Node:
    if isinstance(item, str):
        return item
    url = safe_link(item.url)
    if url is None:
        return f"{item.text} ({item.url})"
    return h("a", item.text, href=url, target="_blank", rel="noopener noreferrer")
