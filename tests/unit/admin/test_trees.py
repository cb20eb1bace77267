"""What the pages make of the host's answers, without a server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from aiops_admin import words
from aiops_admin.pages.delivery_detail import Shown, detail_sheet
from aiops_admin.pages.delivery_list import Listing, delivery_list
from aiops_admin.pages.frame import read_query
from aiops_admin.pages.note import note
from aiops_admin.safe import Node, h, safe_link
from aiops_admin.wire import Connection, Delivery, DeliveryDetail, DeliveryPage, Effect, Run, RunDetail
from aiops_core.tickets import Code, Enhancement, Heading, Link, ListBlock, Paragraph

NOW = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
ID = UUID(int=7)


def delivery(**changes: Any) -> Delivery:
    """Return a delivery of a new ticket."""
    known = {"id": ID, "received_at": NOW, "connection": "Desk", "ticketing_tool": "jira", "ticket_id": "T-1"}
    return Delivery(**(known | {"state": "queued", "kind": "opened"} | changes))


def listing(page: DeliveryPage | None, **changes: Any) -> Listing:
    """Return a list as it is shown first."""
    shown: dict[str, Any] = {
        "page": page,
        "has_tenant": True,
        "filtered": False,
        "first": True,
        "live": True,
        "connections": (),
        "webhook_base": "https://ops.example",
        "link": lambda delivery_id: f"?delivery={delivery_id}",
    }
    return Listing(**(shown | changes))


def texts(node: Node) -> Iterator[str]:
    """Yield every text of a tree."""
    if isinstance(node, str):
        yield node
        return
    for child in node["c"]:
        yield from texts(child)


def elements(node: Node, tag: str) -> Iterator[dict[str, Any]]:
    """Yield every element of a kind."""
    if isinstance(node, str):
        return
    if node["t"] == tag:
        yield node
    for child in node["c"]:
        yield from elements(child, tag)


def test_an_element_leaves_out_what_is_not_given() -> None:
    """None and False are no attributes, True is one without a value, and names are spelled as the browser does."""
    tree = h("button", "Older", None, data_action="older", disabled=False, hidden=True, title=None, class_="big")
    assert tree == {
        "t": "button",
        "k": None,
        "a": {"data-action": "older", "hidden": "", "class": "big"},
        "c": ["Older"],
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://jira.example/browse/T-1", True),
        ("http://10.0.0.7:8080/x?y=1", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("//jira.example", False),
        ("/browse/T-1", False),
        ("http://[", False),
        ("https:", False),
        ("", False),
        (None, False),
    ],
)
def test_only_web_addresses_become_links(url: str | None, *, shown: bool) -> None:
    """Any other address is text at most."""
    assert (safe_link(url) is not None) == shown


def test_a_note_keeps_its_blocks() -> None:
    """Each block becomes its element; a link that is no web address is shown as text."""
    blocks = (
        Heading("First look", 1),
        Heading("Next"),
        Paragraph("A <b>bold</b> claim"),
        ListBlock(("one", Link("two", "https://x.example"), Link("three", "javascript:x")), ordered=True, start=4),
        Code("a < b"),
    )
    tree = note(blocks)
    assert isinstance(tree, dict)
    assert [child["t"] for child in tree["c"]] == ["h3", "h4", "p", "ol", "pre"]
    assert [numbered["a"] for numbered in elements(tree, "ol")] == [{"start": "4"}]
    assert "A <b>bold</b> claim" in texts(tree)
    assert [link["a"]["href"] for link in elements(tree, "a")] == ["https://x.example"]
    assert "three (javascript:x)" in texts(tree)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"state": "queued"}, "Waiting"),
        ({"state": "done", "action": "run"}, "Note posted"),
        ({"state": "done", "action": "run", "dry_run": True}, "Dry run done"),
        ({"state": "done", "action": "learn"}, "Learned"),
        ({"state": "done", "action": "none"}, "Done"),
        ({"state": "dead"}, "Given up"),
        ({"state": "something-new"}, "something-new"),
    ],
)
def test_a_state_has_a_technicians_name(changes: dict[str, Any], name: str) -> None:
    """The words say what it means for the ticket; a state this dashboard does not know is shown as it is."""
    assert words.state_of(delivery(**changes))[0] == name


def test_every_state_of_the_host_has_words() -> None:
    """No state the host stores is shown by its raw name."""
    assert set(words.STATES) == {
        *("queued", "running", "posting", "done", "ignored", "quarantined", "parked", "dead"),
    }


def sheet_of(found: Delivery) -> set[str]:
    """Return the texts of a delivery's sheet."""
    return set(texts(detail_sheet(DeliveryDetail(delivery=found), Shown(runs=(), link=str, may_replay=False))))


def test_a_dry_runs_note_stands_beside_the_posted_one() -> None:
    """Both notes are shown, and each run's steps say which try they are of."""

    def ran(number: int, text: str, *, dry_run: bool) -> RunDetail:
        run = Run(id=UUID(int=number), attempt=number, agent="enhance", state="done", started_at=NOW, finished_at=NOW,
                  dry_run=dry_run)  # fmt: skip
        return RunDetail(run=run, enhancement=msgspec.to_builtins(Enhancement(body=(Paragraph(text),))))

    posted = Effect(id=ID, state="confirmed", planned_at=NOW, blocks=(Paragraph("Posted."),))
    detail = DeliveryDetail(delivery=delivery(state="done", action="run"), effects=(posted,))
    runs = (ran(1, "Posted.", dry_run=False), ran(2, "Tried before.", dry_run=True), ran(3, "Tried.", dry_run=True))
    found = list(texts(detail_sheet(detail, Shown(runs=runs, link=str, may_replay=False))))
    assert [t for t in found if t in {"Posted.", "Tried.", "Tried before."}] == ["Posted.", "Tried."]
    assert {"Note of try 3 (dry run)", "Steps of try 1", "Steps of try 3 (dry run)"} <= set(found)


def test_a_delivery_of_a_paused_connection_says_what_it_waits_for() -> None:
    """It names the connection to mend and resume, and no time: the one it has is past. Otherwise its next try is told."""
    tried: dict[str, Any] = {"state": "queued", "attempt": 1, "due_at": NOW}
    waiting = "It waits for its paused connection Desk: mend it, then resume it on Health."
    held = sheet_of(delivery(**tried, waits_for="Desk"))
    assert waiting in held
    assert not {"It waits for its turn.", "It is tried again at "} & held
    assert {"It waits for its turn.", "It is tried again at "} <= sheet_of(delivery(**tried))
    rows = delivery_list(listing(DeliveryPage(items=(delivery(**tried, waits_for="Desk"),))))
    assert waiting in {span["a"].get("title") for span in elements(rows, "span")}


def test_a_host_that_does_not_tell_what_a_delivery_waits_for_is_understood() -> None:
    """A host of an earlier version leaves the field out."""
    told = {"id": str(ID), "received_at": NOW.isoformat(), "connection": "Desk", "ticketing_tool": "jira"}
    assert msgspec.convert(told, Delivery, strict=False).waits_for is None
    assert msgspec.convert(told | {"waits_for": "Desk"}, Delivery, strict=False).waits_for == "Desk"


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({"has_tenant": False}, "You belong to no tenant yet"),
        ({}, "No connection yet"),
        ({"connections": (Connection(name="Desk", ticketing_tool="jira"),)}, "Waiting for the first webhook"),
        ({"filtered": True}, "Nothing matches"),
        ({"first": False}, "No older deliveries"),
    ],
)
def test_an_empty_list_says_what_to_do(changes: dict[str, Any], heading: str) -> None:
    """Each reason for an empty list has its own words."""
    tree = delivery_list(listing(DeliveryPage(items=()), **changes))
    assert heading in texts(tree)


def test_the_webhook_address_is_whole() -> None:
    """What a person copies is the host's public address and the connection's path."""
    desk = Connection(name="Desk", ticketing_tool="jira", webhook_path="/webhooks/jira/abc")
    tree = delivery_list(listing(DeliveryPage(items=()), connections=(desk,)))
    assert [b["a"]["data-copy"] for b in elements(tree, "button")] == ["https://ops.example/webhooks/jira/abc"]


def test_pages_are_offered_only_where_there_are_any() -> None:
    """One page has no pager; the first of several goes forward, the last goes back."""
    one, more = DeliveryPage(items=(delivery(),)), DeliveryPage(items=(delivery(),), next="x")

    def usable(tree: Node) -> list[str]:
        return [b["a"]["data-action"] for b in elements(tree, "button") if "disabled" not in b["a"]]

    assert usable(delivery_list(listing(one))) == []
    assert usable(delivery_list(listing(more))) == ["older"]
    assert usable(delivery_list(listing(one, first=False))) == ["newer"]


def test_an_unposted_note_is_shown_from_its_run() -> None:
    """After a dry run the note is there to read, marked as not posted."""
    run = Run(id=ID, attempt=1, agent="enhance", state="finished", started_at=NOW, finished_at=NOW)
    enhancement = {"body": [{"type": "paragraph", "text": "Only tried."}]}
    detail = DeliveryDetail(delivery=delivery(state="done", action="run", dry_run=True), runs=(run,))
    shown = Shown(runs=[RunDetail(run=run, enhancement=enhancement)], link=str, may_replay=False)
    tree = detail_sheet(detail, shown)
    assert {"Only tried.", "Not posted"} <= set(texts(tree))


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("?tenant=harbor&state=dead", {"tenant": "harbor", "state": "dead"}),
        ("state=a&state=b", {"state": "b"}),
        ("", {}),
        ("&".join(f"a{n}=1" for n in range(1000)), {}),
        ("%00%ff=%zz", {"\x00�": "%zz"}),
    ],
)
def test_an_address_is_read_leniently(query: str, read: dict[str, str]) -> None:
    """Whatever stands in the address, a page opens."""
    assert read_query(query) == read
