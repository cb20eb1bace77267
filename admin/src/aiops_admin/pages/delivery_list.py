"""The list of deliveries as a tree; nothing here knows a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiops_admin import words
from aiops_admin.safe import Node, h, safe_link
from aiops_admin.wire import Connection, Delivery, DeliveryPage

COLUMNS = ("Received", "Ticket", "Connection", "What happened", "State", "Why", "Tries", "Note")
SKELETON_ROWS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What the list shows: a page of rows, or why there is none. ``link`` gives a delivery's address."""

    page: DeliveryPage | None
    has_tenant: bool
    filtered: bool
    first: bool
    live: bool
    connections: tuple[Connection, ...] | None
    webhook_base: str
    link: Callable[[str], str]


def delivery_list(listing: Listing) -> Node:
    """Return the whole list."""
    if not listing.has_tenant:
        return _empty(
            "You belong to no tenant yet", "Ask the person who runs AI Ops to give you a role in your tenant."
        )
    if listing.page is None:
        return h("div", _heading(listing), _skeleton(), class_="list", aria_busy="true")
    if not listing.page.items:
        return h("div", _heading(listing), _nothing(listing), class_="list")
    rows = [_row(delivery, listing.link(str(delivery.id))) for delivery in listing.page.items]
    return h("div", _heading(listing), _table(rows), _pager(listing), class_="list")


def when(moment: datetime | None, *, show: str = "relative") -> Node:
    """Return a time the browser writes in the reader's own words and zone."""
    return h("time", datetime=moment.isoformat(), data_show=show) if moment else "—"


def chip(name: str, tone: str, title: str = "") -> Node:
    """Return a state as a coloured word."""
    return h("span", name, class_=f"chip {tone}", title=title or None)


def _heading(listing: Listing) -> Node:
    live = h("span", "Live", class_="live", title="New deliveries appear by themselves")
    return h(
        "div", h("h1", "Deliveries"), live if listing.live else h("span", "Not live", class_="quiet"), class_="heading"
    )


def _table(rows: list[Node]) -> Node:
    head = h("tr", *(h("th", name, scope="col") for name in COLUMNS))
    caption = h("caption", "Webhooks received from the ticketing tools, newest first")
    return h("div", h("table", caption, h("thead", head), h("tbody", *rows)), class_="sheet")


def _row(delivery: Delivery, link: str) -> Node:
    name, tone, sentence = words.state_of(delivery)
    ticket = delivery.ticket_id or "No ticket"
    cells = (
        h("div", when(delivery.received_at), h("small", when(delivery.received_at, show="exact"))),
        h(
            "div",
            h("a", ticket, href=link, data_action="open", data_value=delivery.id, class_="ticket"),
            h("small", delivery.title, class_="title", title=delivery.title) if delivery.title else None,
        ),
        h("div", delivery.connection, h("small", delivery.ticketing_tool)),
        words.kind_of(delivery.kind),
        chip(name, tone, sentence),
        h("div", delivery.reason or "", class_="reason", title=delivery.reason),
        str(delivery.attempt),
        _note_link(delivery),
    )
    named = (h("td", cell, data_label=column) for column, cell in zip(COLUMNS, cells, strict=True))
    return h("tr", *named, key=str(delivery.id), data_action="open", data_value=delivery.id)


def _note_link(delivery: Delivery) -> Node:
    url = safe_link(delivery.note_url)
    if url is None:
        return h("span", "—", class_="quiet")
    name = f"Open the note on ticket {delivery.ticket_id}"
    return h("a", "Open", href=url, target="_blank", rel="noopener noreferrer", aria_label=name, class_="out")


def _pager(listing: Listing) -> Node | None:
    older = bool(listing.page and listing.page.next)
    if listing.first and not older:
        return None
    return h(
        "nav",
        h("button", "← Newer", type="button", data_action="newer", disabled=listing.first),
        h("button", "Older →", type="button", data_action="older", disabled=not older),
        class_="pager",
        aria_label="Pages",
    )


def _nothing(listing: Listing) -> Node:
    if listing.filtered:
        text = (
            "No delivery matches this state and ticket. The ticket must be written exactly as the ticketing tool does."
        )
        return _empty("Nothing matches", text, h("button", "Clear filters", type="button", data_action="clear"))
    if not listing.first:
        return _empty("No older deliveries", "You have reached the first webhook.", _pager(listing))
    if not listing.connections:
        text = "This tenant has no connection to a ticketing tool yet. Whoever runs AI Ops makes one with"
        return _empty("No connection yet", text, h("pre", "aiops connections create --help"))
    text = "As soon as a ticketing tool sends its first webhook it appears here. Enter this address in its webhook settings:"
    return _empty(
        "Waiting for the first webhook", text, *(_webhook(c, listing.webhook_base) for c in listing.connections)
    )


def _webhook(connection: Connection, base: str) -> Node | None:
    if connection.webhook_path is None:
        return None
    address = base + connection.webhook_path
    return h(
        "div",
        h("b", connection.name),
        h("small", connection.ticketing_tool),
        h("code", address),
        h("button", "Copy", type="button", data_copy=address, aria_label=f"Copy the address for {connection.name}"),
        class_="webhook",
    )


def _empty(title: str, text: str, *more: Node | None) -> Node:
    return h("section", h("h2", title), h("p", text), *more, class_="empty")


def _skeleton() -> Node:
    return h("div", *(h("div", class_="bone") for _ in range(SKELETON_ROWS)), class_="sheet")
