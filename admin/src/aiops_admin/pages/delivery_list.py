"""The list of deliveries as a tree; nothing here knows a server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from aiops_admin import words
from aiops_admin.pages import listing as shared
from aiops_admin.pages.bits import chip, clear_filters, empty, out_link, pager, table, when
from aiops_admin.safe import Node, h
from aiops_admin.wire import Connection, Delivery

COLUMNS = ("Received", "Ticket", "Connection", "What happened", "State", "Why", "Tries", "Note")
CAPTION = "Webhooks received from the ticketing tools, newest first"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing(shared.Listing[Delivery]):
    """What the list shows; without any delivery, the addresses of its ``connections``.

    ``connect`` is where the person may make one, ``None`` for who may not.
    """

    connections: tuple[Connection, ...] | None
    webhook_base: str
    connect: str | None = None


def delivery_list(listing: Listing) -> Node:
    """Return the whole list."""
    shown = partial(table, CAPTION, COLUMNS, kind="deliveries")
    return shared.framed(listing, "Deliveries", shown, _row, lambda: _nothing(listing))


def _row(delivery: Delivery, link: str) -> Node:
    name, tone, sentence = words.state_of(delivery)
    values = (
        h("div", when(delivery.received_at), h("small", when(delivery.received_at, show="exact"))),
        shared.ticket(delivery.ticket_id or "No ticket", delivery.title, link, delivery.id),
        h("div", delivery.connection, h("small", delivery.ticketing_tool)),
        words.kind_of(delivery.kind),
        chip(name, tone, sentence),
        h("div", delivery.reason or "", class_="reason", title=delivery.reason),
        str(delivery.attempt),
        _note_link(delivery),
    )
    return shared.row(COLUMNS, values, delivery.id)


def _note_link(delivery: Delivery) -> Node:
    link = out_link("Open", delivery.note_url, name=f"Open the note on ticket {delivery.ticket_id}")
    return link or h("span", "—", class_="quiet")


def _nothing(listing: Listing) -> Node:
    if listing.filtered:
        text = (
            "No delivery matches this state and ticket. The ticket must be written exactly as the ticketing tool does."
        )
        return empty("Nothing matches", text, clear_filters())
    if not listing.first:
        return empty("No older deliveries", "You have reached the first webhook.", pager(first=False, older=False))
    if not listing.connections:
        return _unconnected(listing.connect)
    text = "As soon as a ticketing tool sends its first webhook it appears here. Enter this address in its webhook settings:"
    return empty(
        "Waiting for the first webhook", text, *(_webhook(c, listing.webhook_base) for c in listing.connections)
    )


def _unconnected(connect: str | None) -> Node:
    text = "This tenant has no connection to a ticketing tool yet."
    if connect is None:
        return empty("No connection yet", f"{text} Its administrator makes one on the page Connections.")
    link = h("p", h("a", "Connect a ticketing tool", href=connect, class_="button"))
    return empty("No connection yet", f"{text} Webhooks appear here once it has one.", link)


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
