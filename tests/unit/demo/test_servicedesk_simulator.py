"""The ServiceDesk Plus simulator refuses what the product refuses."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from aiops_demo.simulators import simulator_class
from aiops_demo.simulators.base import Answer, Behaviour, Call, Drop, Proof
from aiops_demo.simulators.servicedesk import ServiceDeskSimulator
from aiops_demo.simulators.servicedesk_html import sanitised

ACCEPT = "application/vnd.manageengine.sdp.v3+json"
FORM = "application/x-www-form-urlencoded"
KEY = "technician-key-1"
EDITIONS = ["on-prem", "msp", "cloud"]


class Caller:
    """Calls a simulator as a correct client does, unless told otherwise."""

    def __init__(self, edition: str = "on-prem") -> None:
        self.simulator = ServiceDeskSimulator(token=KEY, edition=edition)
        for number in (1, 2, 3):
            self.simulator.add_ticket(self.simulator.to_vendor(seed(number)))
        self.headers = {"accept": ACCEPT, "authtoken": KEY}

    async def sign_in(self) -> None:
        """Fetch an access token where the edition wants one."""
        if self.simulator.edition == "cloud":
            answer = await self.token()
            self.headers = {"accept": ACCEPT, "authorization": f"Zoho-oauthtoken {answer.body['access_token']}"}

    async def token(self, **changed: str) -> Answer:
        """Ask the accounts server."""
        form = {"grant_type": "refresh_token", "client_id": "aiops", "client_secret": KEY, "refresh_token": KEY}
        body = urlencode({**form, **changed}).encode()
        return await self.simulator.answer(Call("POST", "/oauth/v2/token", {}, {"content-type": FORM}, body))

    async def __call__(
        self, method: str, path: str, body: bytes = b"", *, query: Mapping[str, str] = {}, **headers: str
    ) -> Answer:
        """Call the API; ``headers`` are added, an empty one is left out."""
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        sent = {name: value for name, value in sent.items() if value}
        return await self.simulator.answer(Call(method, f"/api/v3{path}", query, sent, body))

    async def post_note(self, note: object, key: str | None = None, **headers: str) -> Answer:
        """Post a note as a form."""
        body = urlencode({"input_data": json.dumps({key or self.simulator.note_key: note})}).encode()
        return await self("POST", "/requests/1/notes", body, **{"content_type": FORM, **headers})

    async def listed(self, **list_info: object) -> Answer:
        """List tickets."""
        return await self("GET", "/requests", query={"input_data": json.dumps({"list_info": list_info})})


def seed(number: int) -> dict[str, Any]:
    """Return a neutral seed ticket; every second one is solved."""
    return {
        "ticket_id": str(number),
        "title": f"Ticket {number}",
        "description": "a < b\nc",
        "resolution": "Rebooted." if number % 2 == 0 else None,
        "priority": "High",
        "category": "Network",
        "requester": "Laura Pike",
        "created_at": f"2026-02-0{number}T08:00:00Z",
        "resolved_at": "2026-03-01T08:00:00Z" if number % 2 == 0 else None,
    }


@pytest.fixture(params=EDITIONS)
async def caller(request: pytest.FixtureRequest) -> Caller:
    """Return a signed-in caller of each edition."""
    caller = Caller(request.param)
    await caller.sign_in()
    return caller


def codes(answer: Answer) -> tuple[int, int, int]:
    """Return the HTTP status, the verdict and the code of the first message of a refusal."""
    verdict = answer.body["response_status"]
    return answer.status, verdict["status_code"], verdict["messages"][0]["status_code"]


async def test_a_correct_note_is_kept(caller: Caller) -> None:
    """A form under the edition's key becomes a note, internal unless it says otherwise."""
    answer = await caller.post_note({"description": "<p>Hello <b>you</b></p>", "show_to_requester": False})
    assert answer.status in {200, 201}
    assert answer.body["response_status"] == {"status_code": 2000, "status": "success"}
    (posted,) = caller.simulator.posted
    assert (posted.ticket, posted.internal, posted.text) == ("1", True, "Hello you")
    await caller.post_note({"description": "x", "show_to_requester": True})
    assert [note.internal for note in caller.simulator.posted] == [True, False]


@pytest.mark.parametrize("accept", ["", "application/json", "*/*", ACCEPT.replace("v3", "v2")])
async def test_the_versioned_accept_is_required(caller: Caller, accept: str) -> None:
    """A call without the versioned Accept is refused."""
    assert codes(await caller("GET", "/requests/1", accept=accept)) == (400, 4000, 4001)


async def test_a_json_body_is_refused(caller: Caller) -> None:
    """A note sent as a JSON body, in whatever wrapper, is refused and not kept."""
    for content_type in ("application/json", FORM, ""):
        body = json.dumps({"input_data": {caller.simulator.note_key: {"description": "x"}}}).encode()
        answer = await caller("POST", "/requests/1/notes", body, content_type=content_type)
        assert codes(answer) == (400, 4000, 4001)
    assert codes(await caller.post_note({"description": "x"}, content_type="application/json")) == (400, 4000, 4001)
    assert caller.simulator.posted == []


async def test_a_second_key_is_refused(caller: Caller) -> None:
    """Input data with anything beside the note is refused in the body of a 200."""
    data = {caller.simulator.note_key: {"description": "x"}, "request": {}}
    body = urlencode({"input_data": json.dumps(data)}).encode()
    assert codes(await caller("POST", "/requests/1/notes", body, content_type=FORM)) == (200, 4000, 4001)
    assert caller.simulator.posted == []


async def test_the_other_editions_key_is_refused(caller: Caller) -> None:
    """A note under the other edition's key is refused in the body of a 200."""
    other = "note" if caller.simulator.note_key == "request_note" else "request_note"
    assert codes(await caller.post_note({"description": "x"}, other)) == (200, 4000, 4001)
    assert caller.simulator.posted == []


@pytest.mark.parametrize(
    "note",
    [{}, {"description": ""}, {"description": None}, {"description": "x", "is_public": False}, "text", None,
     {"description": "x", "show_to_requester": 3}],
    ids=range(7),
)  # fmt: skip
async def test_a_malformed_note_is_refused(caller: Caller, note: object) -> None:
    """A note without text, with an unknown field or a flag that is none is refused in the body of a 200."""
    assert codes(await caller.post_note(note)) == (200, 4000, 4001)
    assert caller.simulator.posted == []


@pytest.mark.parametrize(
    "headers",
    [{"authtoken": ""}, {"authtoken": "wrong"}, {"authtoken": "", "authorization": f"Bearer {KEY}"},
     {"authorization": f"Zoho-oauthtoken {KEY}"}],
    ids=range(4),
)  # fmt: skip
@pytest.mark.parametrize("edition", ["on-prem", "msp"])
async def test_only_the_technician_key_opens_on_premises(edition: str, headers: dict[str, str]) -> None:
    """On-premises and MSP take the key as authtoken and nothing else."""
    assert codes(await Caller(edition)("GET", "/requests/1", **headers)) == (401, 4000, 401)


@pytest.mark.parametrize("value", ["", KEY, f"Zoho-oauthtoken {KEY}", "Bearer {token}", "Zoho-oauthtoken x"])
async def test_only_a_live_token_opens_the_cloud(value: str) -> None:
    """The cloud takes a live access token under its own scheme; a technician key opens nothing."""
    caller = Caller("cloud")
    await caller.sign_in()
    token = caller.headers["authorization"].partition(" ")[2]
    headers = {"authorization": value.format(token=token), "authtoken": KEY}
    assert codes(await caller("GET", "/requests/1", **headers)) == (401, 4000, 401)
    assert (await caller("GET", "/requests/1")).status == 200


async def test_access_tokens_end() -> None:
    """An access token that has ended opens nothing, and a new one does."""
    caller = Caller("cloud")
    await caller.sign_in()
    caller.simulator.expire_access_tokens()
    assert codes(await caller("GET", "/requests/1")) == (401, 4000, 401)
    await caller.sign_in()
    assert (await caller("GET", "/requests/1")).status == 200
    caller.simulator.access_seconds = 0
    await caller.sign_in()
    assert (await caller("GET", "/requests/1")).status == 401


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "x"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"refresh_token": "x"}, "invalid_code"),
    ],
    ids=range(4),
)
async def test_the_accounts_server_refuses_with_200(changed: dict[str, str], error: str) -> None:
    """A wrong client or refresh token is refused in the body of a 200, as Zoho does."""
    answer = await Caller("cloud").token(**changed)
    assert (answer.status, answer.body) == (200, {"error": error})


async def test_on_premises_has_no_accounts_server() -> None:
    """Only the cloud hands out tokens."""
    assert (await Caller("on-prem").token()).status in {401, 404}


@pytest.mark.parametrize(
    ("path", "method"),
    [("/requests/99", "GET"), ("/requests/99/notes", "GET"), ("/requests/99/notes", "POST"),
     ("/requests/1/notes/9", "GET"), ("/requests/1/notes/9", "DELETE"), ("/nothing", "GET"),
     ("/requests/99/resolutions", "GET"), ("/requests/99", "PUT")],
)  # fmt: skip
async def test_what_does_not_exist_is_404(caller: Caller, path: str, method: str) -> None:
    """Unknown tickets, notes and paths answer 404 with the code for it."""
    assert codes(await caller(method, path)) == (404, 4000, 4007)


async def test_the_portal_may_stand_in_the_address(caller: Caller) -> None:
    """The API answers with and without /app/<portal>."""
    call = Call("GET", "/app/itdesk/api/v3/requests/1", {}, caller.headers, b"")
    assert (await caller.simulator.answer(call)).body == (await caller("GET", "/requests/1")).body


async def test_lists_are_short_of_text(caller: Caller) -> None:
    """Lists of tickets have no description or resolution, lists of notes no text; one by one they do."""
    await caller.post_note({"description": "<p>text</p>"})
    (first, *_) = (await caller.listed()).body["requests"]
    assert "subject" in first
    assert not {"description", "resolution"} & set(first)
    assert (await caller("GET", "/requests/1")).body["request"]["description"] == "<div>a &lt; b<br>c</div>"
    answer = await caller("GET", "/requests/1/notes")
    (row,) = answer.body[f"{caller.simulator.note_key}s"]
    assert "description" not in row
    assert {"id"} < set(row)
    whole = (await caller("GET", f"/requests/1/notes/{row['id']}")).body[caller.simulator.note_key]
    assert whole["description"] == "<p>text</p>"
    assert isinstance(answer.body["response_status"], list)


async def test_a_resolution_has_its_own_address(caller: Caller) -> None:
    """The resolution is read by itself; the cloud leaves it out of the ticket."""
    assert (await caller("GET", "/requests/2/resolutions")).body["resolution"]["content"] == "<div>Rebooted.</div>"
    assert ("resolution" in (await caller("GET", "/requests/2")).body["request"]) is (
        caller.simulator.edition != "cloud"
    )


async def test_pages_follow_each_other(caller: Caller) -> None:
    """Pages in order tell whether there are more."""
    ids, more = [], []
    for start in (1, 2, 3):
        body = (await caller.listed(row_count=1, start_index=start, sort_field="created_time", sort_order="desc")).body
        ids += [row["id"] for row in body["requests"]]
        more.append(body["list_info"]["has_more_rows"])
    assert (ids, more) == (["3", "2", "1"], [True, True, False])


@pytest.mark.parametrize(
    ("criteria", "ids"),
    [
        ([{"field": "status.name", "condition": "is", "values": ["Resolved", "Closed"]}], ["2"]),
        ([{"field": "status.name", "condition": "is", "value": "Open"}], ["1", "3"]),
        ([{"field": "created_time", "condition": "greater than", "value": "1770019200000"}], ["3"]),
        (
            [
                {"field": "subject", "condition": "contains", "value": "ticket"},
                {"field": "id", "condition": "is not", "value": "1", "logical_operator": "AND"},
            ],
            ["2", "3"],
        ),
    ],
    ids=range(4),
)
async def test_criteria_choose_tickets(caller: Caller, criteria: list[dict[str, Any]], ids: list[str]) -> None:
    """Search criteria choose by words and times."""
    body = (await caller.listed(search_criteria=criteria)).body
    assert [row["id"] for row in body["requests"]] == ids


@pytest.mark.parametrize(
    "list_info",
    [
        {"row_count": 101},
        {"row_count": 0},
        {"row_count": "many"},
        {"start_index": 0},
        {"sort_field": "mood"},
        {"sort_order": "up"},
        {"page": 2},
        {"search_criteria": [{"field": "mood", "condition": "is", "value": "good"}]},
        {"search_criteria": [{"field": "subject", "condition": "resembles", "value": "x"}]},
        {"search_criteria": [{"field": "subject", "condition": "is"}]},
        {"search_criteria": [{"field": "created_time", "condition": "greater than", "value": "2026-01-01"}]},
        {"search_criteria": [{"field": "id", "condition": "is", "value": "1"}] * 2},
    ],
    ids=range(12),
)
async def test_malformed_lists_are_refused(caller: Caller, list_info: dict[str, Any]) -> None:
    """More than 100 rows, unknown fields and unreadable criteria are refused."""
    assert codes(await caller.listed(**list_info)) == (400, 4000, 4001)


@pytest.mark.parametrize("text", ["{", "[]", '{"list_info": 3}'])
async def test_unreadable_input_is_refused(caller: Caller, text: str) -> None:
    """Input data of a list that is no JSON object is refused."""
    assert codes(await caller("GET", "/requests", query={"input_data": text})) == (400, 4000, 4001)


@pytest.mark.parametrize(
    ("html", "stored"),
    [
        ("<p>a</p><!-- AIOPS-HIDDEN --><p>b</p>", "<p>a</p><p>b</p>"),
        ('<p style="display:none">AIOPS-HIDDEN</p>b', "b"),
        ("<div hidden>x<p>y</p></div>b", "b"),
        ('<p data-aiops="1" id="x" class="y">a</p>', "<p>a</p>"),
        ("<script>alert(1)</script>a<custom>b</custom>", "ab"),
        (
            '<a href="https://x.example/?a=1&amp;b=2" onclick="x">t</a>',
            '<a href="https://x.example/?a=1&amp;b=2">t</a>',
        ),
        ('<a href="javascript:alert(1)">t</a>', "<a>t</a>"),
        ("a &lt;b&gt; &amp; c<br>d", "a &lt;b&gt; &amp; c<br>d"),
    ],
    ids=range(8),
)
def test_notes_are_sanitised_on_storage(html: str, stored: str) -> None:
    """Comments, hidden parts, attributes, unknown tags and scripts do not survive; text does."""
    assert sanitised(html) == stored


async def test_a_posted_note_is_sanitised(caller: Caller) -> None:
    """What is kept of a posted note is what the product would keep."""
    await caller.post_note({"description": "<p data-x='1'>a<!-- AIOPS-HIDDEN --></p><p style='display:none'>b</p>"})
    (posted,) = caller.simulator.posted
    assert (posted.raw["description"], posted.text) == ("<p>a</p>", "a")


async def test_a_deleted_note_is_gone(caller: Caller) -> None:
    """A note is deleted once."""
    note = (await caller.post_note({"description": "x"})).body[caller.simulator.note_key]
    assert (await caller("DELETE", f"/requests/1/notes/{note['id']}")).status == 200
    assert caller.simulator.posted == []
    assert (await caller("DELETE", f"/requests/1/notes/{note['id']}")).status == 404


async def test_a_note_is_an_update(caller: Caller) -> None:
    """A note and a change each move the ticket's last update on."""
    times = [caller.simulator.ticket("1")["last_updated_time"]["value"]]
    await caller.post_note({"description": "x"})
    times.append(caller.simulator.ticket("1")["last_updated_time"]["value"])
    body = urlencode({"input_data": json.dumps({"request": {"subject": "New"}})}).encode()
    assert (await caller("PUT", "/requests/1", body, content_type=FORM)).body["request"]["subject"] == "New"
    times.append(caller.simulator.ticket("1")["last_updated_time"]["value"])
    assert len({int(time) for time in times}) == 3
    assert times == sorted(times)


async def test_it_fails_after_applying(caller: Caller) -> None:
    """Told to, it keeps the note and then answers 500 or nothing."""
    caller.simulator.behave(Behaviour(apply_then=500, times=1))
    assert codes(await caller.post_note({"description": "x"})) == (500, 4000, 4004)
    caller.simulator.behave(Behaviour(apply_then="drop", times=1))
    with pytest.raises(Drop):
        await caller.post_note({"description": "y"})
    assert [note.text for note in caller.simulator.posted] == ["x", "y"]


async def test_it_throttles_in_its_own_words(caller: Caller) -> None:
    """Told to, it answers 429 with its code and the wait, and keeps nothing."""
    caller.simulator.behave(Behaviour(fail_with=429, retry_after=7, times=1))
    answer = await caller.post_note({"description": "x"})
    assert codes(answer) == (429, 4000, 4015)
    assert answer.headers["Retry-After"] == "7"
    assert caller.simulator.posted == []


@pytest.mark.parametrize(
    ("given", "ticket_id"),
    [
        ({"request": {"id": "77", "subject": "x"}, "response_status": {}}, "77"),
        ({"id": 78, "subject": None}, "78"),
        ({"subject": "no id"}, "40001"),
        ({"id": "OPS-1"}, "40001"),
        ({}, "40001"),
    ],
    ids=range(5),
)
async def test_any_ticket_may_be_added(given: dict[str, Any], ticket_id: str) -> None:
    """A record is kept as it is, wrapped or bare, with fields missing; only an id that is none is made up."""
    caller = Caller()
    assert caller.simulator.add_ticket(given)["id"] == ticket_id
    record = (await caller("GET", f"/requests/{ticket_id}")).body["request"]
    assert record == {**given.get("request", given), "id": ticket_id}
    assert (await caller.listed(sort_field="last_updated_time", row_count=100)).status == 200


def test_a_webhook_carries_the_secret_in_a_header() -> None:
    """The product's own webhook is the recommended body with a static header, unsigned."""
    simulator = Caller().simulator
    proof = Proof(secret="s3cret", headers={"X-AIOps-Webhook-Secret": "s3cret"})
    headers, body = simulator.webhook(simulator.ticket("1"), "opened", proof=proof)
    assert headers == {"Content-Type": "application/json", "X-AIOps-Webhook-Secret": "s3cret"}
    assert json.loads(body) == {
        "event": "created",
        "ticket_id": "1",
        "last_updated": "1769932800000",
        "actor_id": simulator.ticket("1")["requester"]["id"],
    }


def test_a_custom_function_signs() -> None:
    """With a secret and no header for it, the webhook is signed as Standard Webhooks say."""
    simulator = Caller("cloud").simulator
    headers, body = simulator.webhook(simulator.ticket("1"), "resolved", proof=Proof(secret="s3cret"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.digest(b"s3cret", signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


def test_msp_tickets_have_an_account() -> None:
    """The MSP edition names the customer of a ticket; the others do not."""
    assert Caller("msp").simulator.ticket("1")["account"]["name"] == "Default Account"
    assert "account" not in Caller("on-prem").simulator.ticket("1")


def test_it_is_found_by_name() -> None:
    """The simulator is the one called servicedesk, on-premises by default."""
    assert simulator_class("servicedesk") is ServiceDeskSimulator
    assert ServiceDeskSimulator(token="t").edition == "on-prem"
    with pytest.raises(ValueError, match="edition"):
        ServiceDeskSimulator(token="t", edition="datacenter")
