"""The Jira simulator refuses what Jira refuses, keeps what was posted and misbehaves as told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiops_demo.simulators.base import Behaviour, Call, Drop, Match, Proof
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running

TOKEN = "t0ken"
ACCOUNT = "aiops@example.com"
BASIC = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
DOC = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Hi"}]}]}
ISSUE = {
    "id": "10001",
    "key": "OPS-1",
    "fields": {
        "summary": "VPN",
        "description": "h2. Problem\nfails\n\n{code}\nlog\n{code}",
        "updated": "2026-03-02T09:00:00.000+0000",
        "status": {"name": "Open", "statusCategory": {"key": "new"}},
    },
}


class Caller:
    """A simulator and calls to it without a port."""

    def __init__(self, edition: str = "cloud") -> None:
        self.simulator = JiraSimulator(token=TOKEN, account=ACCOUNT, edition=edition)
        self.simulator.add_ticket(ISSUE)

    async def __call__(
        self, method: str, path: str, body: Any = None, *, auth: str | None = BASIC, **query: str
    ) -> tuple[int, Any]:
        """Call a path below ``/rest`` and return status and decoded body."""
        headers = {"authorization": auth} if auth else {}
        if body is not None:
            headers["content-type"] = "application/json"
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        answer = await self.simulator.answer(Call(method, f"/rest{path}", query, headers, raw))
        return answer.status, json.loads(answer.encoded() or b"null")


@pytest.mark.parametrize(
    ("edition", "auth", "status"),
    [
        ("cloud", BASIC, 200),
        ("cloud", f"Bearer {TOKEN}", 401),
        ("cloud", "Basic " + base64.b64encode(f"other@example.com:{TOKEN}".encode()).decode(), 401),
        ("cloud", None, 401),
        ("datacenter", BASIC, 200),
        ("datacenter", f"Bearer {TOKEN}", 200),
        ("datacenter", "Bearer wrong", 401),
    ],
)
async def test_credentials_are_the_editions(edition: str, auth: str | None, status: int) -> None:
    """Cloud takes email and API token as Basic only, Data Center a personal access token too."""
    assert (await Caller(edition)("GET", "/api/2/myself", auth=auth))[0] == status


async def test_removed_search_is_gone_on_cloud() -> None:
    """Cloud answers 410 where its old search was; Data Center still searches there, and has no new one."""
    for method, body in (("GET", None), ("POST", {})):
        for version in ("2", "3"):
            assert (await Caller()(method, f"/api/{version}/search", body, jql="project = OPS"))[0] == 410
    status, page = await Caller("datacenter")("GET", "/api/2/search", jql="project = OPS")
    assert (status, page["total"], page["issues"][0]["key"]) == (200, 1, "OPS-1")
    assert (await Caller("datacenter")("GET", "/api/2/search/jql", jql="project = OPS"))[0] == 404


async def test_data_center_has_no_version_3() -> None:
    """Version 3 is Cloud's; Data Center's router does not know it, and says so in other words than a missing ticket."""
    status, body = await Caller("datacenter")("GET", "/api/3/issue/OPS-1")
    assert status == 404
    assert "errorMessages" not in body
    status, body = await Caller()("GET", "/api/3/issue/OPS-404")
    assert status == 404
    assert body["errorMessages"]


def broken(**changes: Any) -> dict[str, Any]:
    """Return a document with something changed."""
    return {**DOC, **changes}


@pytest.mark.parametrize(
    "body",
    [
        "plain text",
        None,
        {},
        broken(version=2),
        broken(type="document"),
        broken(content=None),
        broken(content=["text"]),
        broken(content=[{"type": "text", "text": "not in a paragraph"}]),
        broken(content=[{"type": "markdown"}]),
        broken(content=[{"type": "paragraph", "content": [{"type": "text", "text": ""}]}]),
        broken(content=[{"type": "paragraph", "contents": []}]),
        broken(content=[{"type": "heading", "attrs": {"level": 7}, "content": []}]),
        broken(content=[{"type": "bulletList", "content": []}]),
        broken(content=[{"type": "bulletList", "content": [{"type": "paragraph", "content": []}]}]),
        broken(
            content=[{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "link"}]}]}]
        ),
        broken(content=[{"type": "codeBlock", "content": [{"type": "text", "text": "x", "marks": [{"type": "em"}]}]}]),
    ],
    ids=lambda body: json.dumps(body)[-150:],
)
async def test_cloud_refuses_what_is_no_document(body: Any) -> None:
    """Version 3 takes a well-formed document as a comment and nothing else, and nothing is kept."""
    caller = Caller()
    status, answer = await caller("POST", "/api/3/issue/OPS-1/comment", {"body": body})
    assert status == 400
    assert answer["errors"]["comment"]
    assert caller.simulator.posted == []


async def test_version_2_takes_text_only() -> None:
    """Version 2 takes wiki markup, on both editions, and no document."""
    for edition in ("cloud", "datacenter"):
        caller = Caller(edition)
        assert (await caller("POST", "/api/2/issue/OPS-1/comment", {"body": DOC}))[0] == 400
        assert (await caller("POST", "/api/2/issue/OPS-1/comment", {"body": " "}))[0] == 400
        assert (await caller("POST", "/api/2/issue/OPS-1/comment", {"body": "h1. Hi"}))[0] == 201


@pytest.mark.parametrize(
    "properties",
    [
        "x",
        ["x"],
        [{"key": "a"}],
        [{"value": 1}],
        [{"key": "k" * 256, "value": 1}],
        [{"key": "a", "value": "v" * 32_768}],
    ],
    ids=["text", "no object", "no value", "no key", "long key", "long value"],
)
async def test_properties_are_checked(properties: Any) -> None:
    """Malformed or oversized properties refuse the whole comment."""
    caller = Caller()
    status, _ = await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC, "properties": properties})
    assert status == 400
    assert caller.simulator.posted == []


async def test_body_must_be_json_and_say_so() -> None:
    """A body that is no JSON is 400, one that is not declared as JSON 415."""
    caller = Caller()
    assert (await caller("POST", "/api/3/issue/OPS-1/comment", b"input_data=1"))[0] == 400
    call = Call("POST", "/rest/api/3/issue/OPS-1/comment", {}, {"authorization": BASIC}, b"{}")
    assert (await caller.simulator.answer(call)).status == 415


async def test_comment_keeps_its_properties() -> None:
    """Properties of the creating call can be read one by one; they are listed with comments only if switched on."""
    caller = Caller()
    properties = [{"key": "sd.public.comment", "value": {"internal": True}}, {"key": "mine", "value": [1]}]
    status, comment = await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC, "properties": properties})
    assert (status, comment["jsdPublic"], comment["body"]) == (201, False, DOC)
    assert comment["author"] == (await caller("GET", "/api/3/myself"))[1]
    number = comment["id"]
    assert await caller("GET", f"/api/3/comment/{number}/properties/mine") == (200, {"key": "mine", "value": [1]})
    assert (await caller("GET", f"/api/3/comment/{number}/properties/other"))[0] == 404
    keys = (await caller("GET", f"/api/3/comment/{number}/properties"))[1]["keys"]
    assert [key["key"] for key in keys] == ["sd.public.comment", "mine"]
    listed = (await caller("GET", "/api/3/issue/OPS-1/comment", expand="properties"))[1]["comments"]
    assert "properties" not in listed[0]
    caller.simulator.expands_properties = True
    listed = (await caller("GET", "/api/3/issue/OPS-1/comment", expand="properties"))[1]["comments"]
    assert listed[0]["properties"] == properties


async def test_note_without_the_property_is_public() -> None:
    """A comment is internal only by its property's exact value."""
    caller = Caller()
    for value in (None, {"internal": "true"}, {"internal": False}, "internal"):
        properties = [{"key": "sd.public.comment", "value": value}] if value is not None else []
        await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC, "properties": properties})
    assert [note.internal for note in caller.simulator.posted] == [False] * 4


async def test_comments_are_paged_in_the_order_asked() -> None:
    """Comments come oldest first by default, newest first on request, in pages."""
    caller = Caller()
    for text in "abc":
        await caller("POST", "/api/2/issue/OPS-1/comment", {"body": text})

    async def bodies(**query: str) -> list[str]:
        return [
            c["body"]
            for c in (await caller("GET", "/api/2/issue/OPS-1/comment", None, auth=BASIC, **query))[1]["comments"]
        ]

    assert await bodies() == ["a", "b", "c"]
    assert await bodies(orderBy="-created", maxResults="2") == ["c", "b"]
    assert await bodies(orderBy="-created", maxResults="2", startAt="2") == ["a"]


async def test_deleted_comment_is_gone() -> None:
    """A deleted comment is neither listed nor posted any more; deleting it again is 404."""
    caller = Caller()
    number = (await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC}))[1]["id"]
    assert await caller("DELETE", f"/api/3/issue/OPS-1/comment/{number}") == (204, None)
    assert (await caller("DELETE", f"/api/3/issue/OPS-1/comment/{number}"))[0] == 404
    assert caller.simulator.posted == []


async def test_texts_are_shown_as_the_version_shows_them() -> None:
    """Version 3 shows documents, version 2 text, whichever of them was given."""
    caller = Caller()
    caller.simulator.add_ticket({"key": "OPS-2", "fields": {"description": DOC}})
    wiki = (await caller("GET", "/api/3/issue/OPS-1"))[1]["fields"]["description"]
    assert [node["type"] for node in wiki["content"]] == ["paragraph", "codeBlock"]
    assert (await caller("GET", "/api/2/issue/OPS-1"))[1]["fields"]["description"] == ISSUE["fields"]["description"]  # type: ignore[index]
    assert (await caller("GET", "/api/3/issue/OPS-2"))[1]["fields"]["description"] == DOC
    assert (await caller("GET", "/api/2/issue/OPS-2"))[1]["fields"]["description"] == "Hi"


async def test_only_asked_fields_are_shown() -> None:
    """An issue shows the fields asked for, comments among them; all by default."""
    caller = Caller()
    await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC})
    fields = (await caller("GET", "/api/3/issue/10001", fields="summary,comment"))[1]["fields"]
    assert set(fields) == {"summary", "comment"}
    assert fields["comment"]["total"] == 1
    assert set((await caller("GET", "/api/3/issue/OPS-1"))[1]["fields"]) == {*ISSUE["fields"], "comment"}  # type: ignore[misc]


async def test_portal_route_is_for_portal_tickets() -> None:
    """The service desk's route answers 404 for a ticket not raised through a portal, and takes plain text."""
    caller = Caller()
    given = {"body": "Hi", "public": False}
    assert (await caller("POST", "/servicedeskapi/request/OPS-1/comment", given))[0] == 404
    caller.simulator.add_ticket({"key": "OPS-2", "fields": {"customfield_10010": {"requestType": {}}}})
    assert (await caller("POST", "/servicedeskapi/request/OPS-2/comment", {"body": DOC}))[0] == 400
    status, answer = await caller("POST", "/servicedeskapi/request/OPS-2/comment", given)
    assert (status, answer["public"]) == (201, False)
    await caller("POST", "/servicedeskapi/request/OPS-2/comment", {"body": "Hi", "public": True})
    assert [(note.ticket, note.internal) for note in caller.simulator.posted] == [("OPS-2", True), ("OPS-2", False)]


@pytest.mark.parametrize("jql", ["", "ORDER BY updated ASC", "   "])
async def test_unbounded_search_is_refused_on_cloud(jql: str) -> None:
    """Cloud refuses a query that restricts nothing; Data Center takes it."""
    status, body = await Caller()("GET", "/api/3/search/jql", jql=jql)
    assert status == 400
    assert "Unbounded" in body["errorMessages"][0]
    assert (await Caller("datacenter")("GET", "/api/2/search", jql=jql))[0] == 200


@pytest.mark.parametrize(
    "jql", ["project = OPS garbage", "colour = red", "project ==", 'updated >= "soon"', "project = A OR key = B-1"]
)
async def test_unreadable_search_is_refused(jql: str) -> None:
    """A query that cannot be read is 400 with Jira's kind of message."""
    status, body = await Caller()("POST", "/api/3/search/jql", {"jql": jql})
    assert status == 400
    assert body["errorMessages"]


async def test_search_gives_ids_unless_asked_and_pages_by_token() -> None:
    """Only ids come unless fields are asked for; pages follow by token, and only the last says so."""
    caller = Caller()
    for number in range(2, 6):
        caller.simulator.add_ticket({"id": f"1000{number}", "key": f"OPS-{number}", "fields": {"summary": "x"}})
    status, page = await caller("GET", "/api/3/search/jql", jql="project = OPS ORDER BY key DESC", maxResults="3")
    assert page["issues"] == [{"id": "10005"}, {"id": "10004"}, {"id": "10003"}]
    assert (status, page["isLast"], set(page)) == (200, False, {"issues", "isLast", "nextPageToken"})
    asked = {"jql": "project = OPS ORDER BY key DESC", "maxResults": 3, "fields": ["summary"]}
    status, page = await caller("POST", "/api/3/search/jql", {**asked, "nextPageToken": page["nextPageToken"]})
    assert [(issue["key"], issue["fields"]) for issue in page["issues"]] == [
        ("OPS-2", {"summary": "x"}),
        ("OPS-1", {"summary": "VPN"}),
    ]
    assert (page["isLast"], "nextPageToken" in page) == (True, False)
    assert (await caller("GET", "/api/3/search/jql", jql="project = OPS", nextPageToken="nonsense"))[0] == 400


def signed(raw: bytes, secret: str) -> str:
    """Return the signature Jira documents."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("kind", ["opened", "updated", "resolved", "commented"])
def test_webhook_is_jiras_own(kind: str) -> None:
    """A webhook is signed over its raw body, identified the same on every resend, and shows texts as markup."""
    simulator = Caller().simulator
    note = {
        "id": "7",
        "author": simulator.me,
        "body": DOC,
        "created": "2026-03-02T09:05:00.000+0000",
        "properties": [1],
    }
    headers, raw = simulator.webhook(
        {**ISSUE, "fields": {"description": DOC}}, kind, proof=Proof(secret="s", headers={"X-A": "b"}), note=note
    )
    again, _ = simulator.webhook({**ISSUE, "fields": {"description": DOC}}, kind, proof=Proof(), note=note)
    body = json.loads(raw)
    assert headers["X-Hub-Signature"] == signed(raw, "s")
    assert headers["X-A"] == "b"
    assert headers["X-Atlassian-Webhook-Identifier"] == again["X-Atlassian-Webhook-Identifier"]
    assert "X-Hub-Signature" not in again
    assert "x-hub-signature-256" not in {name.lower() for name in headers}
    assert body["issue"]["key"] == "OPS-1"
    assert body["issue"]["fields"]["description"] == "Hi"
    assert "tenant_id" not in body
    if kind == "commented":
        assert (body["webhookEvent"], body["comment"]["body"], "properties" in body["comment"]) == (
            "comment_created",
            "Hi",
            False,
        )


async def test_any_issue_is_taken() -> None:
    """A ticket may lack everything, be a whole webhook body, or bring its comments."""
    caller = Caller()
    assert set(caller.simulator.add_ticket({})) == {"id", "key", "self"}
    assert (
        caller.simulator.add_ticket({"webhookEvent": "jira:issue_created", "issue": {"key": "NET-9"}})["key"] == "NET-9"
    )
    fields = {"comment": {"comments": [{"body": "old", "author": {"displayName": "Dana"}}]}}
    caller.simulator.add_ticket({"key": "NET-10", "fields": fields})
    assert (await caller("GET", "/api/2/issue/NET-10"))[1]["fields"]["comment"]["comments"][0]["body"] == "old"
    assert caller.simulator.posted == []


async def test_seed_becomes_issues(tmp_path: Path) -> None:
    """Seed tickets from JSON or CSV become issues; a resolution is the technician's last comment."""
    ticket = {
        "ticket_id": "OPS-77",
        "title": "Plotter",
        "description": "prints half",
        "resolution": "Replaced the belt.",
        "category": "Printing",
        "priority": "High",
        "requester": "Dana Kim",
        "technician": "Tom Ashdown",
        "created_at": "2026-02-03T08:12:12Z",
        "resolved_at": "2026-02-03T09:37:37Z",
        "url": "",
    }
    (tmp_path / "seed.json").write_text(json.dumps([ticket]))
    (tmp_path / "seed.csv").write_text(",".join(ticket) + "\n" + ",".join(ticket.values()) + "\n")
    shown = []
    for name in ("seed.json", "seed.csv"):
        caller = Caller()
        assert caller.simulator.load_seed(tmp_path / name) == 1
        shown.append((await caller("GET", "/api/2/issue/OPS-77"))[1]["fields"])
    assert shown[0] == shown[1]
    assert shown[0]["comment"]["comments"][0]["body"] == "Replaced the belt."
    assert shown[0]["resolutiondate"] == "2026-02-03T09:37:37.000+0000"
    assert shown[0]["status"]["statusCategory"]["key"] == "done"


async def test_behaviour_befalls_matching_calls_so_often() -> None:
    """A failure befalls the calls that match, as often as said, and nothing is applied."""
    caller = Caller()
    caller.simulator.behave(Behaviour(fail_with=429, retry_after=7, times=2, match=Match(method="post")))
    assert (await caller("GET", "/api/3/myself"))[0] == 200
    for _ in range(2):
        assert (await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC}))[0] == 429
    assert caller.simulator.posted == []
    assert (await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC}))[0] == 201
    headers = caller.simulator.failure(429, retry_after=7).headers
    assert headers["Retry-After"] == "7"
    assert headers["X-RateLimit-Remaining"] == "0"


async def test_delayed_call_is_held_back() -> None:
    """A call told to take a minute has no answer after a moment, while another one has."""
    caller = Caller()
    caller.simulator.behave(Behaviour(delay_ms=60_000, match=Match(path="/issue/")))
    held = asyncio.create_task(caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC}))
    assert (await caller("GET", "/api/3/myself"))[0] == 200
    await asyncio.wait({held}, timeout=0.05)
    assert not held.done()
    assert caller.simulator.posted == []
    held.cancel()


async def test_write_is_applied_before_it_fails() -> None:
    """Told so, the simulator keeps the note and then answers 500 or cuts the connection; reads are not affected."""
    caller = Caller()
    caller.simulator.behave(Behaviour(apply_then=500, times=1))
    assert (await caller("GET", "/api/3/myself"))[0] == 200
    assert (await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC}))[0] == 500
    assert (await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC}))[0] == 201
    caller.simulator.behave(Behaviour(apply_then="drop"))
    with pytest.raises(Drop):
        await caller("POST", "/api/3/issue/OPS-1/comment", {"body": DOC})
    assert len(caller.simulator.posted) == 3


@asynccontextmanager
async def served() -> AsyncIterator[tuple[JiraSimulator, httpx.AsyncClient]]:
    """Give a simulator on a port and a client of it."""
    simulator = Caller().simulator
    async with (
        running(simulator) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": BASIC}, trust_env=False) as client,
    ):
        yield simulator, client


async def test_control_surface() -> None:
    """Tickets are added, behaviours set and reset, posted notes and calls told, over HTTP without credentials."""
    async with served() as (simulator, client):
        control = httpx.AsyncClient(base_url=simulator.url, trust_env=False)
        added = await control.post("/_/tickets", json={"key": "OPS-9", "fields": {"summary": "x"}})
        assert (added.status_code, added.json()["key"]) == (201, "OPS-9")
        assert (await control.post("/_/tickets", content=b"[]")).status_code == 400
        assert (await control.post("/_/behave", json={"fail_wiht": 500})).status_code == 400
        assert (await control.post("/_/behave", json={"fail_with": 503})).status_code == 200
        assert (await client.get("/rest/api/3/myself")).status_code == 503
        assert (await control.post("/_/behave", json={})).json() == {}
        await client.post("/rest/api/3/issue/OPS-9/comment", json={"body": DOC})
        (note,) = (await control.get("/_/posted")).json()
        assert (note["ticket"], note["internal"], note["text"], note["raw"]["body"]) == ("OPS-9", False, "Hi", DOC)
        stats = (await control.get("/_/stats")).json()
        assert stats["calls"] == {"GET /rest/api/3/myself": 1, "POST /rest/api/3/issue/{key}/comment": 1}
        assert stats["statuses"] == {"503": 1, "201": 1}
        await control.aclose()


async def test_dropped_connection_has_no_answer() -> None:
    """A drop after applying closes the connection without a byte; the note is kept."""
    async with served() as (simulator, client):
        simulator.behave(Behaviour(apply_then="drop", times=1))
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/rest/api/3/issue/OPS-1/comment", json={"body": DOC})
        assert len(simulator.posted) == 1
        assert (await client.get("/rest/api/3/myself")).status_code == 200


class Hook(BaseHTTPRequestHandler):
    """Keeps the one webhook it is sent on its server."""

    def do_POST(self) -> None:
        """Take a webhook."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received = (dict(self.headers), body)  # type: ignore[attr-defined]
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


async def test_each_note_comes_back_as_a_signed_webhook() -> None:
    """Told where, the simulator sends every posted note as the comment webhook Jira would send."""
    with HTTPServer(("127.0.0.1", 0), Hook) as receiver:
        receiver.timeout = 30
        async with served() as (simulator, client):
            url = f"http://127.0.0.1:{receiver.server_port}/hook"
            await client.post("/_/behave", json={"echo_to": {"url": url, "secret": "s", "headers": {"X-A": "b"}}})
            await client.post("/rest/api/3/issue/OPS-1/comment", json={"body": DOC})
            await asyncio.to_thread(receiver.handle_request)
    headers, raw = receiver.received  # type: ignore[attr-defined]
    assert headers["X-Hub-Signature"] == signed(raw, "s")
    assert headers["X-A"] == "b"
    body = json.loads(raw)
    assert (body["webhookEvent"], body["issue"]["key"]) == ("comment_created", "OPS-1")
    assert body["comment"]["author"] == simulator.me


def test_command_line_serves_until_told_to_stop(tmp_path: Path) -> None:
    """``python -m aiops_demo.simulators`` prints its address, answers there with its seed and stops on SIGTERM."""
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps([{"ticket_id": "OPS-5", "title": "Plotter"}]))
    command = [
        sys.executable,
        "-m",
        "aiops_demo.simulators",
        "jira",
        "--token",
        TOKEN,
        "--account",
        ACCOUNT,
        "--seed",
        str(seed),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        found = httpx.get(f"{url}/rest/api/2/issue/OPS-5", headers={"Authorization": BASIC}, trust_env=False)
        process.terminate()
        assert process.wait(30) in {0, -15}
    assert found.json()["fields"]["summary"] == "Plotter"


def test_command_line_refuses_misuse() -> None:
    """An unknown edition is refused with exit code 2 and the editions there are."""
    command = [sys.executable, "-m", "aiops_demo.simulators", "jira", "--token", TOKEN, "--edition", "server"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cloud, datacenter" in done.stderr
