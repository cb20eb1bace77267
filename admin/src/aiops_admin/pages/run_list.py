"""The list of runs as a tree; nothing here knows a server."""

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
from aiops_admin.wire import Run, RunPage

COLUMNS = ("Started", "Ticket", "Connection", "Outcome", "Why", "Agent", "Took", "Open")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What the list shows: a page of rows, or why there is none. ``link`` gives a run's address."""

    page: RunPage | None
    has_tenant: bool
    filtered: bool
    first: bool
    live: bool
    link: Callable[[str], str]
    deliveries: str
    unknown_tenant: str | None = None


def run_list(listing: Listing) -> Node:
    """Return the whole list."""
    if not listing.has_tenant:
        return no_tenant(listing.unknown_tenant)
    head = heading("Runs", live=listing.live)
    if listing.page is None:
        return h("div", head, skeleton(), class_="list", aria_busy="true")
    if not listing.page.items:
        return h("div", head, _nothing(listing), class_="list")
    rows = [_row(run, listing.link(str(run.id))) for run in listing.page.items]
    shown = table("What the agents did, newest first", COLUMNS, rows, "runs")
    return h("div", head, shown, pager(first=listing.first, older=bool(listing.page.next)), class_="list")


def _row(run: Run, link: str) -> Node:
    name, tone, sentence = words.outcome_of(run)
    ticket = run.ticket_number or run.ticket_id
    values = (
        h("div", when(run.started_at), h("small", when(run.started_at, show="exact"))),
        h(
            "div",
            h("a", ticket, href=link, data_action="open", data_value=run.id, class_="ticket"),
            h("small", run.title, class_="title", title=run.title) if run.title else None,
        ),
        h("div", run.connection, h("small", run.ticketing_tool)),
        chip(name, tone, sentence),
        h("div", run.reason or "", class_="reason", title=run.reason),
        h("div", run.agent, h("small", " · ".join(words.used_by(run)))),
        words.lasted(run),
        out_link("Ticket", run.ticket_url, name=f"Open ticket {ticket}") or h("span", "—", class_="quiet"),
    )
    return h("tr", *cells(COLUMNS, values), key=str(run.id), data_action="open", data_value=run.id)


def _nothing(listing: Listing) -> Node:
    if listing.filtered:
        text = "No run matches this outcome and ticket. The ticket must be written exactly as the ticketing tool does."
        return empty("Nothing matches", text, clear_filters())
    if not listing.first:
        return empty("No older runs", "You have reached the first run.", pager(first=False, older=False))
    text = (
        "As soon as an agent has worked on a ticket, what it found and wrote appears here. "
        "A webhook that waits or starts no work is among the deliveries."
    )
    return empty("No run yet", text, h("p", h("a", "To the deliveries", href=listing.deliveries)))
