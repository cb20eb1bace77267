"""What the lists of deliveries and of runs share: the frame around their rows, and the cell both have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic
from uuid import UUID

from aiops_admin.pages.bits import cells, heading, no_tenant, pager, skeleton
from aiops_admin.safe import Node, h
from aiops_admin.wire import PageOf, RowT


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing(Generic[RowT]):
    """What a list shows: a page of rows, or why there is none. ``link`` gives a row's address."""

    page: PageOf[RowT] | None
    has_tenant: bool
    filtered: bool
    first: bool
    live: bool
    link: Callable[[str], str]
    unknown_tenant: str | None = None


def framed(
    listing: Listing[RowT],
    head: str,
    shown: Callable[[list[Node]], Node],
    row_of: Callable[[RowT, str], Node],
    nothing: Callable[[], Node],
) -> Node:
    """Return the whole list: ``shown`` with its rows, each made with its address, or what stands in their place."""
    if not listing.has_tenant:
        return no_tenant(listing.unknown_tenant)
    title = heading(head, live=listing.live)
    if listing.page is None:
        return h("div", title, skeleton(), class_="list", aria_busy="true")
    if not listing.page.items:
        return h("div", title, nothing(), class_="list")
    rows = [row_of(one, listing.link(str(one.id))) for one in listing.page.items]
    turn = pager(first=listing.first, older=bool(listing.page.next))
    return h("div", title, shown(rows), turn, class_="list")


def row(columns: Iterable[str], values: Iterable[Node], id_: UUID) -> Node:
    """Return a row that opens what it is about."""
    return h("tr", *cells(columns, values), key=str(id_), data_action="open", data_value=id_)


def ticket(name: str, title: str | None, link: str, id_: UUID) -> Node:
    """Return a ticket's name, which opens the row, and its title."""
    return h(
        "div",
        h("a", name, href=link, data_action="open", data_value=id_, class_="ticket"),
        h("small", title, class_="title", title=title) if title else None,
    )
