"""A ticketing tool that fails in the worst moments still ends up with exactly one note."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.api import Api
from tests.support.desk import Desk
from tests.support.installation import Installation
from tests.support.waiting import wait_for

WRITES = {"jira": "POST /rest/api/3/issue/{key}/comment", "servicedesk": "POST /api/v3/requests/{request_id}/notes"}
WRITE = {"method": "POST", "path": "comment|notes"}
READ = {"method": "GET", "path": r"(issue|requests)/[^/]+$"}


@pytest.fixture(params=[0, 1], ids=["jira", "servicedesk"])
def desk(quick: Installation, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Either vendor's desk, which behaves again afterwards."""
    yield quick.desks[request.param]
    quick.desks[request.param].behave()


@pytest.fixture
def api(quick: Installation) -> Api:
    """The quick installation's API."""
    assert quick.api
    return quick.api


@pytest.mark.parametrize("trouble", [500, 408, "drop"])
def test_applied_but_not_confirmed(desk: Desk, api: Api, trouble: int | str) -> None:
    """A write that arrived although its answer says otherwise, or is lost, is found and not made again."""
    writes = desk.calls(WRITES[desk.ticketing_tool])
    desk.behave(apply_then=trouble, times=1, match=WRITE)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Applied but unclear"))
    ended = api.await_end(desk.tenant, delivery_id)
    assert ended["delivery"]["state"] == "done"
    assert [effect["state"] for effect in ended["effects"]] == ["confirmed"]
    assert len(desk.notes(ticket_id)) == 1
    assert desk.calls(WRITES[desk.ticketing_tool]) == writes + 1


def test_lost_on_the_way(desk: Desk, api: Api) -> None:
    """A write that did not arrive is made again, after two looks have shown that it is not there."""
    writes = desk.calls(WRITES[desk.ticketing_tool])
    desk.behave(fail_with=500, times=1, match=WRITE)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Lost on the way"))
    ended = api.await_end(desk.tenant, delivery_id)
    assert ended["delivery"]["state"] == "done"
    assert [effect["attempt"] for effect in ended["effects"]] == [2]
    assert len(desk.notes(ticket_id)) == 1
    assert desk.calls(WRITES[desk.ticketing_tool]) == writes + 2


def test_an_answer_later_than_the_deadline(desk: Desk, api: Api) -> None:
    """A write that is applied only after its deadline is found by the second look and not made again."""
    writes = desk.calls(WRITES[desk.ticketing_tool])
    desk.behave(delay_ms=4_500, times=1, match=WRITE)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Slow as a snail"))
    ended = api.await_end(desk.tenant, delivery_id)
    assert ended["delivery"]["state"] == "done"
    assert len(desk.notes(ticket_id)) == 1
    assert desk.calls(WRITES[desk.ticketing_tool]) == writes + 1


@pytest.mark.parametrize("match", [READ, WRITE], ids=["reading", "writing"])
def test_asked_to_wait(desk: Desk, api: Api, match: dict[str, Any]) -> None:
    """429 with Retry-After is obeyed for the whole connection and costs nothing but the wait."""
    desk.behave(fail_with=429, retry_after=1, times=1, match=match)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Too many requests"))
    ended = api.await_end(desk.tenant, delivery_id)
    assert ended["delivery"]["state"] == "done"
    assert len(desk.notes(ticket_id)) == 1
    if match is READ:
        assert [attempt["outcome"] for attempt in ended["attempts"]] == ["retry", "planned"]


def test_refused_credentials_pause_the_connection(desk: Desk, quick: Installation, api: Api) -> None:
    """401 pauses that connection only and keeps its work, which goes on when a person resumes it."""
    other = quick.desks[1 - quick.desks.index(desk)]
    desk.behave(fail_with=401)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Key withdrawn"))
    api.await_state(desk.tenant, delivery_id, "queued")

    (connection,) = await_paused(quick, desk)
    assert connection["state_reason"]
    later_id, later = desk.deliver(desk.ticket("Still without a key"))
    elsewhere_id, elsewhere = other.deliver(other.ticket("Elsewhere work goes on"))
    api.await_end(other.tenant, elsewhere)
    assert len(other.notes(elsewhere_id)) == 1
    assert api.state(desk.tenant, later) == "queued"
    assert api.delivery(desk.tenant, later)["attempts"] == []

    desk.behave()
    quick.aiops("connections", "resume", desk.connection_id, "--tenant", desk.tenant)
    for delivery in (delivery_id, later):
        assert api.await_end(desk.tenant, delivery)["delivery"]["state"] == "done"
    assert len(desk.notes(ticket_id)) == len(desk.notes(later_id)) == 1


def test_a_deleted_ticket_is_a_dead_letter(desk: Desk, api: Api, quick: Installation) -> None:
    """A ticket that is gone ends as a dead letter with a reason in plain words; a replay works once it is back."""
    ticket = desk.ticket("Gone before it was read")
    ticket_id = desk.imagine(ticket)
    delivery_id = desk.announce(ticket_id)
    dead = api.await_end(desk.tenant, delivery_id)["delivery"]
    assert dead["state"] == "dead"
    assert re.search("no such ticket|does not exist", dead["reason"])
    desk.add(ticket)
    quick.aiops("deliveries", "replay", delivery_id, "--tenant", desk.tenant)
    desk.await_notes(ticket_id)
    assert api.await_end(desk.tenant, delivery_id)["delivery"]["state"] == "done"


def test_a_ticketing_tool_that_is_down_is_asked_again(desk: Desk, api: Api) -> None:
    """Errors on reading are retried with growing waits until it answers."""
    desk.behave(fail_with=503, times=3, match=READ)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Down for maintenance"))
    ended = api.await_end(desk.tenant, delivery_id)
    assert [attempt["outcome"] for attempt in ended["attempts"]] == ["retry", "retry", "retry", "planned"]
    assert len(desk.notes(ticket_id)) == 1


def await_paused(quick: Installation, desk: Desk) -> list[dict[str, Any]]:
    """Wait until the desk's connection is paused and return it."""

    def paused() -> list[dict[str, Any]]:
        listed = quick.aiops("connections", "list", "--tenant", desk.tenant, "--json")
        return [connection for connection in listed if connection["state"] == "paused"]

    return wait_for(paused, "the connection to be paused", logs=quick.logs)
