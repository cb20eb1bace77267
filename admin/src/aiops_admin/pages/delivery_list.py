"""The list of deliveries as a tree; nothing here knows a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiops_admin import words
from aiops_admin.pages.bits import (
    cells,
    chip,
    clear_filters,
    empty,
    heading,
    no_tenant,
    out_link,
    pager,
    skeleton,
    table,
    when,
)
from aiops_admin.safe import Node, h
from aiops_admin.wire import Connection, Delivery, DeliveryPage

COLUMNS = ("Received", "Ticket", "Connection", "What happened", "State", "Why", "Tries", "Note")


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
    unknown_tenant: str | None = None


def delivery_list(listing: Listing) -> Node:
    """Return the whole list."""
    if not listing.has_tenant:
        return no_tenant(listing.unknown_tenant)
    head = heading("Deliveries", live=listing.live)
    if listing.page is None:
        return h("div", head, skeleton(), class_="list", aria_busy="true")
    if not listing.page.items:
        return h("div", head, _nothing(listing), class_="list")
    rows = [_row(delivery, listing.link(str(delivery.id))) for delivery in listing.page.items]
    shown = table("Webhooks received from the ticketing tools, newest first", COLUMNS, rows, "deliveries")
    return h("div", head, shown, pager(first=listing.first, older=bool(listing.page.next)), class_="list")


def _row(delivery: Delivery, link: str) -> Node:
    name, tone, sentence = words.state_of(delivery)
    ticket = delivery.ticket_id or "No ticket"
    values = (
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
    return h("tr", *cells(COLUMNS, values), key=str(delivery.id), data_action="open", data_value=delivery.id)


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
        text = "This tenant has no connection to a ticketing tool yet. Its administrator makes one under Connections, or by"
        return empty("No connection yet", text, h("pre", "aiops connections create --help"))
    text = "As soon as a ticketing tool sends its first webhook it appears here. Enter this address in its webhook settings:"
    return empty(
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
