"""Notes posted, found again and deleted; searches and health, against the simulator in this process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.support.simulated import SimulatedHttp

from aiops_core.config import load_config
from aiops_core.errors import (
    EffectUnknown,
    EffectUnverifiable,
    HttpFailed,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.testing.fakes import Answer, FakeHttp, FakeServices, SentRequest
from aiops_core.testing.subject import make_enhancement, make_marker
from aiops_core.ticketing import RemoteRef
from aiops_core.tickets import TicketQuery
from aiops_demo.simulators.base import Behaviour, Match
from aiops_demo.simulators.jira import JiraSimulator
from aiops_jira.config import JiraConfig
from aiops_jira.ticketing import JiraTicketingTool

TOKEN = "t0ken"
ACCOUNT = "aiops@example.com"
BASE = {"base_url": "https://jira.example.com", "email": ACCOUNT, "api_token": TOKEN}
EDITIONS = pytest.mark.parametrize("edition", ["cloud", "datacenter"])


class Bench:
    """A simulator with one ticket, the tool connected to it and the calls between them."""

    def __init__(self, edition: str = "cloud", **config: Any) -> None:
        self.simulator = JiraSimulator(token=TOKEN, account=ACCOUNT, edition=edition)
        self.put()
        self.me = self.simulator.me
        self.now = datetime.now(UTC)
        self.http = SimulatedHttp(self.simulator)
        values = {**BASE, "edition": edition, **config}
        self.tool = JiraTicketingTool(load_config(JiraConfig, values), FakeServices(http=self.http))

    def put(self, *comments: dict[str, Any]) -> None:
        """Put the ticket there anew with these comments, oldest first, as if others had made them."""
        fields = {"summary": "VPN", "comment": {"comments": list(comments)}}
        self.simulator.add_ticket({"id": "10001", "key": "OPS-1", "fields": fields})

    def paths(self, method: str = "GET") -> list[str]:
        """Return the paths that were called."""
        return [call.path for call in self.http.calls if call.method == method]


OTHERS = {"accountId": "somebody", "key": "somebody"}


def comment(author: Any, created: datetime | None = None, **more: Any) -> dict[str, Any]:
    """Return a comment as Jira shows it, made now unless told otherwise."""
    created = created or datetime.now(UTC)
    return {"author": author, "created": f"{created:%Y-%m-%dT%H:%M:%S.000%z}", "body": "x", **more}


def carrying(marker: Any) -> list[dict[str, Any]]:
    """Return the properties a note with this marker has."""
    value = {"reference": marker.reference, "installation": marker.installation, "version": 1}
    return [{"key": "aiops.effect", "value": value}]


@EDITIONS
async def test_marker_and_privacy_go_with_the_comment(edition: str) -> None:
    """One call posts the comment, makes it internal and marks it."""
    bench, marker = Bench(edition), make_marker("inst-1")
    ref = await bench.tool.update_ticket("OPS-1", make_enhancement(), marker)
    (call,) = bench.http.calls
    sent = msgspec.json.decode(call.body)
    assert sent["properties"] == [
        {"key": "sd.public.comment", "value": {"internal": True}},
        {"key": "aiops.effect", "value": {"reference": marker.reference, "installation": "inst-1", "version": 1}},
    ]
    assert isinstance(sent["body"], dict if edition == "cloud" else str)
    assert ref.url == f"https://jira.example.com/browse/OPS-1?focusedCommentId={ref.id}"
    (note,) = bench.simulator.posted
    assert note.internal
    assert note.raw["id"] == ref.id


async def test_success_without_an_id_is_unknown() -> None:
    """A 201 that names no comment leaves it open whether there is one."""
    for answer in (Answer(201, json={}), Answer(201), Answer(200, json=[1])):
        http = FakeHttp(lambda _, answer=answer: answer)  # type: ignore[misc]
        tool = JiraTicketingTool(load_config(JiraConfig, BASE), FakeServices(http=http))
        with pytest.raises(EffectUnknown):
            await tool.update_ticket("OPS-1", make_enhancement(), make_marker())


@EDITIONS
async def test_only_own_notes_of_this_installation_are_found(edition: str) -> None:
    """Another account's comment, another installation's note and an unmarked own comment are not our effect."""
    bench, marker = Bench(edition), make_marker("here")
    elsewhere = msgspec.structs.replace(marker, installation="there")
    bench.put(
        comment(OTHERS, properties=carrying(marker)),
        comment(bench.me, properties=carrying(elsewhere)),
        comment(bench.me),
    )
    assert list(await bench.tool.find_effects("OPS-1", marker)) == []


@EDITIONS
async def test_duplicates_are_found_oldest_first(edition: str) -> None:
    """Several notes with one marker come oldest first, so that the first can be kept."""
    bench, marker = Bench(edition), make_marker()
    made = [(f"9{age}", bench.now - timedelta(minutes=age)) for age in (3, 2, 1)]
    bench.put(*(comment(bench.me, at, id=number, properties=carrying(marker)) for number, at in made))
    assert [ref.id for ref in await bench.tool.find_effects("OPS-1", marker)] == ["93", "92", "91"]


async def test_comments_before_the_first_attempt_are_not_asked() -> None:
    """A comment older than the marker's bound is neither read closer nor found."""
    bench, marker = Bench(), make_marker()
    bench.put(comment(bench.me, bench.now - timedelta(hours=2), properties=carrying(marker)))
    assert list(await bench.tool.find_effects("OPS-1", marker)) == []
    assert not any("/properties" in path for path in bench.paths())
    unbounded = msgspec.structs.replace(marker, since=None)
    assert len(await bench.tool.find_effects("OPS-1", unbounded)) == 1


@pytest.mark.parametrize("total", [49, 50, 51, 130])
async def test_note_is_found_behind_a_crowd(total: int) -> None:
    """However many others commented since, our note is found, each page read once."""
    bench, marker = Bench(), make_marker()
    ours = comment(bench.me, bench.now - timedelta(minutes=4), properties=carrying(marker))
    crowd = [comment(OTHERS, bench.now - timedelta(minutes=3) + timedelta(seconds=second)) for second in range(total)]
    bench.put(ours, *crowd)
    assert len(await bench.tool.find_effects("OPS-1", marker)) == 1
    pages = [path for path in bench.paths() if path.endswith("/comment")]
    assert len(pages) == -(-(total + 1) // 50)


async def test_old_history_is_not_paged_through() -> None:
    """Newest first, reading stops at the first page that reaches behind the bound."""
    bench, marker = Bench(), make_marker()
    bench.put(*(comment(OTHERS, bench.now - timedelta(hours=1, minutes=300 - minute)) for minute in range(300)))
    assert list(await bench.tool.find_effects("OPS-1", marker)) == []
    assert len([path for path in bench.paths() if path.endswith("/comment")]) == 1


class Disobedient(SimulatedHttp):
    """A Jira that lists comments oldest first, whatever it is asked."""

    async def request(self, method: str, url: str, *, params: Mapping[str, str] | None = None, **options: Any) -> Any:
        """Drop the order from the request."""
        kept = {name: value for name, value in (params or {}).items() if name != "orderBy"}
        return await super().request(method, url, params=kept, **options)


async def test_unordered_list_is_read_to_its_end() -> None:
    """Where the order asked for is not kept, all pages are read before a note is taken for missing."""
    bench, marker = Bench(), make_marker()
    crowd = [comment(OTHERS, bench.now - timedelta(hours=3, minutes=70 - minute)) for minute in range(70)]
    bench.put(*crowd, comment(bench.me, properties=carrying(marker)))
    http = Disobedient(bench.simulator)
    tool = JiraTicketingTool(load_config(JiraConfig, BASE), FakeServices(http=http))
    assert len(await tool.find_effects("OPS-1", marker)) == 1


async def test_too_much_to_read_is_unverifiable() -> None:
    """More comments than are read, or more own ones than are asked for, are never taken for "not there"."""
    bench = Bench()
    bench.put(*(comment(bench.me) for _ in range(51)))
    with pytest.raises(EffectUnverifiable):
        await bench.tool.find_effects("OPS-1", make_marker())
    crowd = Bench()
    crowd.put(*(comment(OTHERS) for _ in range(501)))
    with pytest.raises(EffectUnverifiable):
        await crowd.tool.find_effects("OPS-1", make_marker())


@pytest.mark.parametrize("expands", [True, False])
async def test_listed_properties_save_the_single_reads(expands: bool) -> None:
    """Where the list brings properties, no comment is asked alone; where it does not, each own one is."""
    bench, marker = Bench(), make_marker()
    bench.simulator.expands_properties = expands
    await bench.tool.update_ticket("OPS-1", make_enhancement(), marker)
    await bench.tool.update_ticket("OPS-1", make_enhancement(), make_marker())
    assert len(await bench.tool.find_effects("OPS-1", marker)) == 1
    assert len([path for path in bench.paths() if "/properties" in path]) == (0 if expands else 2)


async def test_empty_expansion_is_not_trusted() -> None:
    """A list that brings an empty set of properties, as a Jira that ignores the wish may, does not settle it."""
    marker = make_marker()
    listed = {"id": "5", "author": {"accountId": "me"}, "created": "2036-03-02T09:00:00.000+0000", "properties": []}
    answers: dict[str, Any] = {
        "/myself": {"accountId": "me"},
        "/comment": {"startAt": 0, "total": 1, "comments": [listed]},
        "/properties/aiops.effect": carrying(marker)[0],
    }

    def answer(sent: SentRequest) -> Answer:
        return Answer(json=next(body for path, body in answers.items() if sent.url.endswith(path)))

    tool = JiraTicketingTool(load_config(JiraConfig, BASE), FakeServices(http=FakeHttp(answer)))
    assert [ref.id for ref in await tool.find_effects("OPS-1", marker)] == ["5"]


async def test_list_without_comments_is_not_empty() -> None:
    """An answer in which the list is missing is no proof that there is no note."""

    def answer(sent: SentRequest) -> Answer:
        return Answer(json={"accountId": "me"} if sent.url.endswith("/myself") else {"startAt": 0})

    tool = JiraTicketingTool(load_config(JiraConfig, BASE), FakeServices(http=FakeHttp(answer)))
    with pytest.raises(TicketingUnavailable):
        await tool.find_effects("OPS-1", make_marker())


async def test_unread_property_is_not_absent() -> None:
    """When a candidate's property cannot be read, the note is not taken for missing."""
    bench, marker = Bench(), make_marker()
    await bench.tool.update_ticket("OPS-1", make_enhancement(), marker)
    bench.simulator.behave(Behaviour(fail_with=503, match=Match(path="/properties/")))
    with pytest.raises(TicketingUnavailable):
        await bench.tool.find_effects("OPS-1", marker)


async def test_note_of_a_moved_ticket_is_gone() -> None:
    """On a ticket that is gone nothing is searched for: it is not found."""
    with pytest.raises(TicketNotFound):
        await Bench().tool.find_effects("OPS-404", make_marker())


async def test_comment_id_stays_in_its_place() -> None:
    """A reference with characters of URLs is refused before anything is sent."""
    bench = Bench()
    for hostile in ("1/../../OPS-1", "", "1?x=y", "..", "1 "):
        with pytest.raises(TicketingRefused):
            await bench.tool.delete_effect("OPS-1", RemoteRef(id=hostile))
    assert bench.http.calls == []


def add_history(bench: Bench, count: int) -> None:
    """Add resolved tickets, each a day older than the one before."""
    for number in range(2, count + 2):
        moment = f"{bench.now - timedelta(days=number):%Y-%m-%dT%H:%M:%S.000%z}"
        fields = {"summary": f"t{number}", "updated": moment, "status": {"statusCategory": {"key": "done"}}}
        bench.simulator.add_ticket({"id": str(10_000 + number), "key": f"OPS-{number}", "fields": fields})


@EDITIONS
async def test_search_reads_page_after_page(edition: str) -> None:
    """All resolved tickets come, each once, the longest untouched first, in pages of the size asked."""
    bench = Bench(edition)
    add_history(bench, 7)
    found = [ticket.id async for ticket in bench.tool.search_tickets(TicketQuery(page_size=3))]
    assert found == [f"OPS-{number}" for number in range(8, 1, -1)]
    assert len(bench.http.calls) == 3


@EDITIONS
async def test_search_is_bounded_by_projects_and_age(edition: str) -> None:
    """The query names the projects, the state and an age, whatever the account's time zone."""
    bench = Bench(edition, projects=["OPS", "NET"])
    add_history(bench, 7)
    since = bench.now - timedelta(days=4, hours=1)
    found = [ticket.id async for ticket in bench.tool.search_tickets(TicketQuery(updated_since=since))]
    assert found == ["OPS-4", "OPS-3", "OPS-2"]
    jql = bench.http.calls[0].query["jql"]
    assert jql.startswith('project in ("OPS", "NET") AND statusCategory = Done AND updated >= "-5')
    assert jql.endswith('m" ORDER BY updated ASC, key ASC')


async def test_search_keeps_to_the_second() -> None:
    """JQL counts minutes; a ticket touched seconds before the moment asked for is left out all the same."""
    bench = Bench()
    for key, seconds in (("OPS-2", 70), ("OPS-3", 60)):
        moment = f"{bench.now - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.000%z}"
        bench.simulator.add_ticket({"key": key, "fields": {"updated": moment}})
    query = TicketQuery(resolved_only=False, updated_since=bench.now - timedelta(seconds=65))
    assert [ticket.id async for ticket in bench.tool.search_tickets(query)] == ["OPS-3"]
    assert 'updated >= "-2m"' in bench.http.calls[0].query["jql"]


async def test_search_of_the_future_is_empty() -> None:
    """Nothing was touched after tomorrow, and Jira is not asked."""
    bench = Bench()
    query = TicketQuery(resolved_only=False, updated_since=bench.now + timedelta(days=1))
    assert [ticket.id async for ticket in bench.tool.search_tickets(query)] == []
    assert bench.http.calls == []


async def test_ticket_id_stays_in_its_place() -> None:
    """An id with characters of URLs is not found, and nothing is asked or posted."""
    bench = Bench()
    for hostile in ("OPS-1/../OPS-2", "OPS-1?a=b", "..", "OPS-1/comment/1", ""):
        with pytest.raises(TicketNotFound):
            await bench.tool.get_ticket(hostile)
        with pytest.raises(TicketNotFound):
            await bench.tool.update_ticket(hostile, make_enhancement(), make_marker())
    assert bench.http.calls == []


async def test_search_of_everything_is_bounded_too() -> None:
    """Cloud refuses a query without a restriction; a search of everything still has one."""
    bench = Bench()
    found = [ticket.id async for ticket in bench.tool.search_tickets(TicketQuery(resolved_only=False))]
    assert found == []  # OPS-1 has no creation time
    bench.simulator.add_ticket({"key": "OPS-2", "fields": {"created": "2026-03-02T09:00:00.000+0000"}})
    found = [ticket.id async for ticket in bench.tool.search_tickets(TicketQuery(resolved_only=False))]
    assert found == ["OPS-2"]


async def test_endless_search_ends() -> None:
    """A Jira that names the same next page for ever is not followed for ever."""
    page = {"issues": [{"key": "OPS-1"}], "nextPageToken": "again", "isLast": False}
    tool = JiraTicketingTool(load_config(JiraConfig, BASE), FakeServices(http=FakeHttp(lambda _: Answer(json=page))))
    with pytest.raises(TicketingUnavailable):
        async for _ in tool.search_tickets(TicketQuery()):
            pass


async def test_health_names_the_account() -> None:
    """A working connection says who it is, as webhooks name their actor."""
    bench = Bench()
    health = await bench.tool.check_health()
    assert (health.status, health.account_id) == ("ok", bench.simulator.me["accountId"])
    assert "https://jira.example.com" in health.detail


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(401, json={"errorMessages": ["no"]}), "id.atlassian.com"),
        (Answer(404, json={"message": "null for uri"}), "edition"),
        (Answer(404, json={"errorMessages": []}), "cloud site"),
        (Answer(410), "edition"),
        (Answer(503), "503"),
        (Answer(200, content=b"<html>"), "address"),
        (Answer(200, json={}), "whose credentials"),
        (Answer(200, json={"accountId": "x", "displayName": "Bot", "active": False}), "Bot is deactivated"),
        (Answer(302), "single sign-on"),
        (HttpFailed("jira.example.com could not be reached: refused", sent=False), "refused"),
    ],
)
async def test_each_failure_of_health_is_told(answer: Answer | HttpFailed, told: str) -> None:
    """Every way to fail is a sentence that says what to look at, never an exception."""

    def peer(_: SentRequest) -> Answer:
        if isinstance(answer, HttpFailed):
            raise answer
        return answer

    tool = JiraTicketingTool(load_config(JiraConfig, BASE), FakeServices(http=FakeHttp(peer)))
    health = await tool.check_health()
    assert health.status == "failed"
    assert told in health.detail
    assert TOKEN not in health.detail
