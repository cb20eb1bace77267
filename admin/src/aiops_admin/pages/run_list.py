"""The list of runs as a tree; nothing here knows a server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from aiops_admin import words
from aiops_admin.pages import listing as shared
from aiops_admin.pages.bits import chip, clear_filters, empty, out_link, pager, table, when
from aiops_admin.safe import Node, h
from aiops_admin.wire import Run

COLUMNS = ("Started", "Ticket", "Connection", "Outcome", "Why", "Agent", "Took", "Open")
CAPTION = "What the agents did, newest first"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing(shared.Listing[Run]):
    """What the list shows; without any run, the way to the ``deliveries``."""

    deliveries: str


def run_list(listing: Listing) -> Node:
    """Return the whole list."""
    shown = partial(table, CAPTION, COLUMNS, kind="runs")
    return shared.framed(listing, "Runs", shown, _row, lambda: _nothing(listing))


def _row(run: Run, link: str) -> Node:
    name, tone, sentence = words.outcome_of(run)
    ticket = run.ticket_number or run.ticket_id
    values = (
        h("div", when(run.started_at), h("small", when(run.started_at, show="exact"))),
        shared.ticket(ticket, run.title, link, run.id),
        h("div", run.connection, h("small", run.ticketing_tool)),
        chip(name, tone, sentence),
        h("div", run.reason or "", class_="reason", title=run.reason),
        h("div", run.agent, h("small", " · ".join(words.used_by(run)))),
        words.lasted(run),
        out_link("Ticket", run.ticket_url, name=f"Open ticket {ticket}") or h("span", "—", class_="quiet"),
    )
    return shared.row(COLUMNS, values, run.id)


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
