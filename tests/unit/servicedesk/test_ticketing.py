"""What the tool asks of the API: few calls, nobody notified, no note overlooked."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from aiops_core.config import load_config
from aiops_core.errors import EffectUnverifiable, TicketingUnavailable
from aiops_core.services import HttpResponse
from aiops_core.testing.fakes import Answer, FakeHttp, FakeServices, FrozenClock, SentRequest
from aiops_core.testing.ticketing import make_enhancement, make_marker
from aiops_core.ticketing import EffectMarker
from aiops_core.tickets import TicketQuery
from aiops_servicedesk.config import Edition, ServiceDeskConfig
from aiops_servicedesk.render import render
from aiops_servicedesk.ticketing import ServiceDeskTool

DONE = {"status_code": 2000, "status": "success"}
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MARKER = make_marker()
SINCE = EffectMarker(reference=MARKER.reference, installation=MARKER.installation, since=START)


def ms(moment: datetime) -> dict[str, str]:
    """Return a time as the product writes it."""
    return {"value": str(int(moment.timestamp() * 1000)), "display_value": "some day"}


def note(number: int, *, minutes: float = 1, author: str = "4") -> dict[str, Any]:
    """Return a row of a list of notes."""
    written = ms(START + timedelta(minutes=minutes))
    return {"id": str(number), "added_time": written, "added_by": {"id": author, "name": "n"}}


class Desk:
    """An API answered by a table of paths; unknown paths are not found."""

    def __init__(self, *, edition: Edition = "on-prem", **values: object) -> None:
        self.answers: dict[str, object] = {}
        self.http = FakeHttp(self._answer)
        self.clock = FrozenClock(START)
        secrets = {"technician_key": "k", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
        config = {"base_url": "https://desk.example", "edition": edition, **secrets, **values}
        self.tool = ServiceDeskTool(
            load_config(ServiceDeskConfig, config), FakeServices(http=self.http, clock=self.clock)
        )
        self.answers["POST /oauth/v2/token"] = {"access_token": "t"}

    @property
    def calls(self) -> list[str]:
        """Method and path of every call."""
        return [self._name(request) for request in self.http.requests]

    def inputs(self) -> list[Any]:
        """Return the list_info of every list that was asked for."""
        asked = [r.params["input_data"] for r in self.http.requests if "input_data" in r.params]
        return [json.loads(text)["list_info"] for text in asked]

    def notes(self, rows: list[dict[str, Any]], texts: dict[str, str]) -> None:
        """Answer with these notes, and with these texts one by one."""
        self.answers["GET /requests/1/notes"] = {"notes": rows, "list_info": {"has_more_rows": False}}
        for row in rows:
            full = {**row, "description": texts.get(row["id"], "<p>nothing of ours</p>")}
            self.answers[f"GET /requests/1/notes/{row['id']}"] = {"note": full}

    def _answer(self, request: SentRequest) -> HttpResponse:
        found = self.answers.get(self._name(request))
        if callable(found):
            found = found(request)
        if found is None:
            return Answer(404, json={"response_status": {"status_code": 4000, "messages": [{"status_code": 4007}]}})
        assert isinstance(found, dict)
        return Answer(200, json={"response_status": DONE, **found})

    @staticmethod
    def _name(request: SentRequest) -> str:
        return f"{request.method} /{request.url.split('/', 3)[3].removeprefix('api/v3/')}"


OURS = render(make_enhancement(), SINCE)


@pytest.mark.parametrize(("edition", "key"), [("on-prem", "note"), ("msp", "note"), ("cloud", "request_note")])
async def test_a_note_is_internal_and_tells_nobody(edition: Edition, key: str) -> None:
    """A note is one form field under the edition's key, with every way to reach other people off."""
    desk = Desk(edition=edition)
    desk.answers["POST /requests/1/notes"] = {key: {"id": "9"}}
    await desk.tool.update_ticket("1", make_enhancement(), SINCE)
    request = desk.http.requests[-1]
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    form = parse_qs(request.content.decode(), strict_parsing=True)
    assert {name: [json.loads(text) for text in texts] for name, texts in form.items()} == {
        "input_data": [
            {
                key: {
                    "description": OURS,
                    "show_to_requester": False,
                    "notify_technician": False,
                    "mark_first_response": False,
                    "add_to_linked_requests": False,
                }
            }
        ]
    }


@pytest.mark.parametrize(
    ("record", "calls"),
    [
        ({"status": {"name": "Open"}}, 1),
        ({"status": {"name": "Closed"}, "resolution": {"content": "<p>Rebooted</p>"}}, 1),
        ({"status": {"name": "Closed"}, "resolution": {"content": None}}, 2),
        ({"status": {"name": "Closed"}}, 2),
    ],
    ids=range(4),
)
async def test_a_resolution_is_asked_for_only_when_it_is_missing(record: dict[str, Any], calls: int) -> None:
    """Open tickets and those that bring their resolution cost one call."""
    desk = Desk()
    desk.answers["GET /requests/1"] = {"request": {"id": "1", **record}}
    desk.answers["GET /requests/1/resolutions"] = {"resolution": {"content": "<p>Rebooted</p>"}}
    ticket = await desk.tool.get_ticket("1")
    assert len(desk.calls) == calls
    assert ticket.resolution == (None if ticket.state == "open" else "Rebooted")


@pytest.mark.parametrize("answer", [None, {}, {"resolution": None}, {"resolution": {"content": ""}}], ids=range(4))
async def test_a_ticket_without_resolution_is_read(answer: dict[str, Any] | None) -> None:
    """A solved ticket whose resolution is refused, absent or empty has none."""
    desk = Desk()
    desk.answers["GET /requests/1"] = {"request": {"id": "1", "subject": "x", "status": {"name": "Closed"}}}
    if answer is not None:
        desk.answers["GET /requests/1/resolutions"] = answer
    assert (await desk.tool.get_ticket("1")).resolution is None


async def test_only_notes_since_the_first_attempt_are_read() -> None:
    """Notes from more than two minutes before the first attempt cannot be the one looked for."""
    desk = Desk()
    desk.notes([note(1, minutes=-60), note(2, minutes=-2.1), note(3, minutes=-1.9), note(4)], {"3": OURS, "1": OURS})
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["3"]
    assert desk.calls == ["GET /requests/1/notes", "GET /requests/1/notes/3", "GET /requests/1/notes/4"]


async def test_without_a_first_attempt_all_notes_are_read() -> None:
    """A marker that does not say since when is looked for in every note."""
    desk = Desk()
    desk.notes([note(1, minutes=-9999)], {"1": OURS})
    marker = EffectMarker(reference=MARKER.reference, installation=MARKER.installation)
    assert len(await desk.tool.find_effects("1", marker)) == 1


async def test_two_notes_are_told_oldest_first() -> None:
    """Both of a doubled note are found, the older first, whatever the order of the list."""
    desk = Desk()
    desk.notes([note(12, minutes=3), note(11, minutes=1), note(10, minutes=2)], {"12": OURS, "11": OURS})
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["11", "12"]


async def test_age_decides_whoever_wrote() -> None:
    """The older of two notes comes first also where it is by the configured technician."""
    desk = Desk(technician_id="4")
    desk.notes([note(1, minutes=1, author="4"), note(2, minutes=2, author="5")], {"1": OURS, "2": OURS})
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["1", "2"]


async def test_other_peoples_notes_are_not_read_once_we_know_ourselves() -> None:
    """After a first note told our own id, notes of others cost no call."""
    desk = Desk()
    desk.answers["POST /requests/1/notes"] = {"note": {"id": "9", "added_by": {"id": "4"}}}
    await desk.tool.update_ticket("1", make_enhancement(), SINCE)
    assert (await desk.tool.check_health()).account_id == "4"
    desk.notes([note(1, author="5"), note(2, author="4")], {"1": OURS, "2": OURS})
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["2"]
    assert "GET /requests/1/notes/1" not in desk.calls


async def test_a_mistaken_technician_hides_no_note() -> None:
    """A configured technician that is not the one who posts does not make our note invisible."""
    desk = Desk(technician_id="77")
    desk.notes([note(1, author="4")], {"1": OURS})
    assert len(await desk.tool.find_effects("1", SINCE)) == 1


async def test_many_notes_are_not_guessed_about() -> None:
    """Of more than twenty candidates twenty are read; when ours is not among them that proves nothing."""
    desk = Desk(technician_id="4")
    rows = [note(n, minutes=n, author="5") for n in range(1, 30)]
    desk.notes(rows, {})
    with pytest.raises(EffectUnverifiable, match="29 notes"):
        await desk.tool.find_effects("1", SINCE)
    assert len(desk.calls) == 21
    desk.notes([note(99, author="4"), *rows], {"99": OURS})
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["99"]


async def test_a_search_the_cap_broke_off_goes_on() -> None:
    """With fewer calls a minute than notes to read, trying again gets to the end."""
    desk = Desk(calls_per_minute=6)
    desk.notes([note(n, minutes=n) for n in range(1, 13)], {"1": OURS})
    for _ in range(2):
        with pytest.raises(TicketingUnavailable):
            await desk.tool.find_effects("1", SINCE)
        desk.clock.advance(60)
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["1"]
    assert len(set(desk.calls)) == 13


async def test_all_pages_of_notes_are_read() -> None:
    """A note on a later page of the list is found; a list without end is not guessed about."""
    desk = Desk()
    desk.notes([note(7)], {"7": OURS})

    def paged(request: SentRequest) -> dict[str, Any]:
        start = json.loads(request.params["input_data"])["list_info"]["start_index"]
        rows = [note(start * 1000 + n, minutes=-60) for n in range(100)] if start < 201 else [note(7)]
        return {"notes": rows, "list_info": {"has_more_rows": start < 201}}

    desk.answers["GET /requests/1/notes"] = paged
    assert [ref.id for ref in await desk.tool.find_effects("1", SINCE)] == ["7"]
    assert [info["start_index"] for info in desk.inputs()] == [1, 101, 201]
    desk.answers["GET /requests/1/notes"] = {"notes": [note(1, minutes=-60)], "list_info": {"has_more_rows": True}}
    with pytest.raises(EffectUnverifiable):
        await desk.tool.find_effects("1", SINCE)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"list_info": {"row_count": 0}}, None),
        ({"notes": []}, None),
        ({"request_notes": [], "list_info": {"row_count": 0}}, None),
        ({}, EffectUnverifiable),
        ({"list_info": {"row_count": 3}}, EffectUnverifiable),
        ({"remarks": [{"id": "1"}]}, EffectUnverifiable),
    ],
    ids=range(6),
)
async def test_no_notes_are_believed_only_when_told(listed: dict[str, Any], expected: type[Exception] | None) -> None:
    """A list under a name we do not know is not taken for an empty one."""
    desk = Desk()
    desk.answers["GET /requests/1/notes"] = listed
    if expected is None:
        assert await desk.tool.find_effects("1", SINCE) == []
    else:
        with pytest.raises(expected):
            await desk.tool.find_effects("1", SINCE)


async def test_a_listed_note_that_is_not_shown_proves_nothing() -> None:
    """A note in the list that cannot be read is not taken for another's."""
    desk = Desk()
    desk.notes([note(1)], {})
    del desk.answers["GET /requests/1/notes/1"]
    with pytest.raises(TicketingUnavailable):
        await desk.tool.find_effects("1", SINCE)
    desk.answers["GET /requests/1/notes/1"] = {"remark": {}}
    with pytest.raises(EffectUnverifiable):
        await desk.tool.find_effects("1", SINCE)


class Shelf:
    """Solved tickets listed by their last update, a page at a time, as the product does."""

    def __init__(self, desk: Desk, updated: dict[str, int]) -> None:
        self.updated = updated
        self.on_list: Callable[[int], None] = lambda _: None
        self._lists = 0
        desk.answers["GET /requests"] = self._listed
        for number in updated:
            desk.answers[f"GET /requests/{number}"] = self._full

    def _full(self, request: SentRequest) -> dict[str, Any]:
        number = request.url.rpartition("/")[2]
        fields = {"subject": f"t{number}", "status": {"name": "Closed"}, "resolution": {"content": "fixed"}}
        return {"request": {"id": number, **fields, "last_updated_time": {"value": str(self.updated[number])}}}

    def _listed(self, request: SentRequest) -> dict[str, Any]:
        asked = json.loads(request.params["input_data"])["list_info"]
        after = next((int(c["value"]) for c in asked["search_criteria"] if c["condition"] == "greater than"), 0)
        rows = sorted((u, n) for n, u in self.updated.items() if u > after)
        shown = rows[asked["start_index"] - 1 :][: asked["row_count"]]
        more = asked["start_index"] - 1 + len(shown) < len(rows)
        self._lists += 1
        answer = {"requests": [{"id": n, "last_updated_time": {"value": str(u)}} for u, n in shown]}
        self.on_list(self._lists)
        return {**answer, "list_info": {"has_more_rows": more}}


async def titles(desk: Desk, query: TicketQuery) -> list[str]:
    """Read all tickets of a query."""
    return [ticket.title async for ticket in desk.tool.search_tickets(query)]


async def test_a_search_asks_for_what_was_asked() -> None:
    """A search names the statuses, the time and the order it wants, oldest update first, at most 100 a page."""
    desk = Desk(resolved_statuses=["Gelöst"], calls_per_minute=1000)
    Shelf(desk, {"1": 5})
    query = TicketQuery(updated_since=START, page_size=1000)
    assert await titles(desk, query) == []
    assert desk.inputs() == [
        {
            "row_count": 100,
            "start_index": 1,
            "sort_field": "last_updated_time",
            "sort_order": "asc",
            "search_criteria": [
                {"field": "last_updated_time", "condition": "greater than", "value": "1772452799999"},
                {"field": "status.name", "condition": "is", "values": ["Gelöst"], "logical_operator": "AND"},
            ],
        }
    ]


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
async def test_every_ticket_is_found_once(page_size: int) -> None:
    """Pages of any size give every ticket once, also where many were updated at one moment."""
    desk = Desk(calls_per_minute=1000)
    Shelf(desk, {str(n): 1000 + n // 4 for n in range(1, 14)})
    found = await titles(desk, TicketQuery(page_size=page_size))
    assert found == sorted(found, key=lambda title: (1000 + int(title[1:]) // 4, title[1:]))
    assert len(found) == 13


async def test_a_ticket_updated_meanwhile_hides_no_other() -> None:
    """A ticket that moves to the end of the list while it is read does not push another out of sight."""
    desk = Desk(calls_per_minute=1000)
    shelf = Shelf(desk, {str(n): 1000 + n for n in range(1, 10)})

    def touch(lists: int) -> None:
        if lists == 1:
            shelf.updated["1"] = 5000

    shelf.on_list = touch
    found = await titles(desk, TicketQuery(page_size=3))
    assert set(found) == {f"t{n}" for n in range(1, 10)}


async def test_a_ticket_deleted_meanwhile_is_left_out() -> None:
    """A ticket that is gone by the time it is fetched does not end the search."""
    desk = Desk(calls_per_minute=1000)
    Shelf(desk, {"1": 5, "2": 6, "3": 7})
    del desk.answers["GET /requests/2"]
    assert await titles(desk, TicketQuery()) == ["t1", "t3"]


async def test_a_search_leaves_calls_for_notes() -> None:
    """While a search waits for its share of calls, the rest of the cap is free for the others."""
    desk = Desk(calls_per_minute=6)
    Shelf(desk, {str(n): 100 + n for n in range(1, 9)})
    search = desk.tool.search_tickets(TicketQuery())
    for _ in range(3):
        await anext(search)
    waiting = asyncio.ensure_future(anext(search))
    await asyncio.sleep(0)
    await desk.tool.get_ticket("1")
    await desk.tool.get_ticket("2")
    assert not waiting.done()
    assert len(desk.calls) == 6
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
