"""Small trees that several pages show."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from aiops_admin.safe import Node, h, safe_link

SKELETON_ROWS = 6
MAX_JSON = 20_000


def when(moment: datetime | None, *, show: str = "relative") -> Node:
    """Return a time the browser writes in the reader's own words and zone."""
    return h("time", datetime=moment.isoformat(), data_show=show) if moment else "—"


def chip(name: str, tone: str, title: str = "") -> Node:
    """Return a state as a coloured word."""
    return h("span", name, class_=f"chip tone-{tone}", title=title or None)


def coded(text: str) -> list[Node]:
    """Return a sentence of the host's; what stands between backticks is code."""
    return [h("code", part) if number % 2 else part for number, part in enumerate(text.split("`")) if part]


def out_link(text: str, url: str | None, *, name: str | None = None, class_: str = "out") -> Node | None:
    """Return a link that opens a page elsewhere beside this one; ``None`` for an address that is no web page's."""
    address = safe_link(url)
    if address is None:
        return None
    return h("a", text, href=address, target="_blank", rel="noopener noreferrer", aria_label=name, class_=class_)


def heading(title: str, *more: Node | None, live: bool | None = None) -> Node:
    """Return a page's title; ``live`` tells whether it follows what happens."""
    mark = None
    if live is not None:
        followed = h("span", "Live", class_="live", title="What happens appears by itself")
        mark = followed if live else h("span", "Not live", class_="quiet")
    return h("div", h("h1", title), *more, mark, class_="heading")


def table(caption: str, columns: Iterable[str], rows: Iterable[Node], kind: str) -> Node:
    """Return a table; ``kind`` names its columns to the style sheet."""
    head = h("tr", *(h("th", name, scope="col") for name in columns))
    return h("div", h("table", h("caption", caption), h("thead", head), h("tbody", *rows), class_=kind), class_="sheet")


def cells(columns: Iterable[str], values: Iterable[Node]) -> list[Node]:
    """Return a row's cells; each knows its column's name, for narrow screens."""
    return [h("td", value, data_label=column) for column, value in zip(columns, values, strict=True)]


def facts(pairs: Iterable[tuple[str, Node | None]]) -> Node:
    """Return names and values; a pair without a value is left out."""
    shown = [(name, value) for name, value in pairs if value is not None]
    return h("dl", *(part for name, value in shown for part in (h("dt", name), h("dd", value))))


def pager(*, first: bool, older: bool) -> Node | None:
    """Return the way to newer and older rows; ``None`` when all are shown."""
    if first and not older:
        return None
    return h(
        "nav",
        h("button", "← Newer", type="button", data_action="newer", disabled=first),
        h("button", "Older →", type="button", data_action="older", disabled=not older),
        class_="pager",
        aria_label="Pages",
    )


def empty(title: str, text: str, *more: Node | None) -> Node:
    """Return what stands in place of rows: why there are none and what to do."""
    return h("section", h("h2", title), h("p", text), *more, class_="empty")


def no_tenant(unknown: str | None = None) -> Node:
    """Return what stands in place of a tenant's data, for a person without any role or an ``unknown`` tenant."""
    if unknown is not None:
        text = f"You have no tenant “{unknown}”: perhaps it is misspelled, or you were given no role in it."
        return empty("No such tenant", text, h("p", h("a", "To your first tenant", href="?")))
    text = (
        "Ask the person who runs AI Ops to give you a role in your tenant. If that is you: create the first one on the "
        "page Tenants."
    )
    return empty("You belong to no tenant yet", text)


def clear_filters() -> Node:
    """Return the button that shows all rows again."""
    return h("button", "Clear filters", type="button", data_action="clear")


def skeleton(rows: int = SKELETON_ROWS) -> Node:
    """Return rows that are being fetched."""
    return h("div", *(h("div", class_="bone") for _ in range(rows)), class_="sheet")


def as_json(value: Any) -> str:
    """Return a value as JSON people can read, cut where it is very long."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= MAX_JSON else text[:MAX_JSON] + "\n…"
