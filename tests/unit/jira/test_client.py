"""Jira's failures as the core's errors."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from aiops_core.config import load_config
from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    HttpFailed,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.services import HttpResponse
from aiops_core.testing.fakes import Answer, FakeHttp, SentRequest, SystemClock
from aiops_jira.client import JiraClient, retry_after
from aiops_jira.config import JiraConfig

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLOUD = {"base_url": "https://example.atlassian.net/", "email": "a@example.com", "api_token": "t0ken"}
ERROR = {"errorMessages": ["Issue does not exist."], "errors": {}}


def client(answer: Callable[[SentRequest], HttpResponse], **config: Any) -> tuple[JiraClient, FakeHttp]:
    """Return a client whose peer is a function, and the peer's record."""
    http = FakeHttp(answer)
    return JiraClient(load_config(JiraConfig, {**CLOUD, **config}), http, SystemClock()), http


def failing(error: HttpFailed) -> Callable[[SentRequest], HttpResponse]:
    """Return a peer that gives no answer."""

    def answer(_: SentRequest) -> HttpResponse:
        raise error

    return answer


async def test_cloud_token_goes_as_basic() -> None:
    """Cloud gets email and token as Basic at the address below the site, with JSON asked for in English."""
    jira, http = client(lambda _: Answer(json={"ok": 1}))
    assert await jira.read("/api/3/myself", {"a": "b"}) == {"ok": 1}
    (sent,) = http.requests
    assert (sent.method, sent.url, sent.params) == (
        "GET",
        "https://example.atlassian.net/rest/api/3/myself",
        {"a": "b"},
    )
    assert sent.headers["authorization"] == "Basic " + base64.b64encode(b"a@example.com:t0ken").decode()
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["accept-language"] == "en"


async def test_data_center_token_goes_as_bearer() -> None:
    """Data Center gets a personal access token as Bearer, under its context path."""
    jira, http = client(
        lambda _: Answer(json=[]),
        base_url="https://jira.example.com/jira",
        edition="datacenter",
        email=None,
        api_token=None,
        personal_access_token="pat",
    )
    await jira.read(f"{jira.api}/myself")
    assert http.requests[0].headers["authorization"] == "Bearer pat"
    assert http.requests[0].url == "https://jira.example.com/jira/rest/api/2/myself"


async def test_write_sends_json() -> None:
    """A write sends JSON and says so; an empty success is fine."""
    jira, http = client(lambda _: Answer(204))
    assert await jira.write("POST", "/x", {"a": "ä"}) is None
    assert http.requests[0].headers["content-type"] == "application/json"
    assert http.requests[0].content == '{"a":"ä"}'.encode()


HTML = b"<html>gateway</html>"
LOGIN = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
DENIED = {"X-Seraph-LoginReason": "AUTHENTICATION_DENIED"}
BOTH: list[tuple[str, Answer, type[TicketingError]]] = [
    ("401", Answer(401, json=ERROR), AuthenticationFailed),
    ("403 wrong login", Answer(403, json=ERROR, headers=DENIED), AuthenticationFailed),
    ("404 wrong login", Answer(404, json=ERROR, headers=LOGIN), AuthenticationFailed),
    ("302 single sign-on", Answer(302, headers={"Location": "https://sso.example.com"}), AuthenticationFailed),
    ("404", Answer(404, json=ERROR), TicketNotFound),
    ("404 service desk words", Answer(404, json={"errorMessage": "not raised through a portal"}), TicketNotFound),
    ("404 router", Answer(404, json={"message": "null for uri", "status-code": 404}), TicketingUnavailable),
    ("404 proxy", Answer(404, content=HTML), TicketingUnavailable),
    ("429", Answer(429, json=ERROR), TicketingUnavailable),
    ("400", Answer(400, json=ERROR), TicketingRefused),
    ("403", Answer(403, json=ERROR), TicketingRefused),
    ("409", Answer(409, json=ERROR), TicketingRefused),
    ("410", Answer(410, json=ERROR), TicketingRefused),
    ("413", Answer(413), TicketingRefused),
    ("422", Answer(422, json=ERROR), TicketingRefused),
]
OPEN: list[tuple[str, Answer]] = [
    ("408", Answer(408)),
    ("500", Answer(500, json=ERROR)),
    ("502", Answer(502, content=HTML)),
    ("503", Answer(503, headers={"Retry-After": "9"})),
    ("504", Answer(504)),
    ("200 unreadable", Answer(200, content=HTML)),
    ("200 cut", Answer(200, content=b'{"id": "1')),
    ("200 not utf-8", Answer(200, content=b'{"id": "\xff"}')),
    ("200 nested", Answer(200, content=b"[" * 50_000)),
]


@pytest.mark.parametrize(("answer", "error"), [pytest.param(a, e, id=name) for name, a, e in BOTH])
async def test_decided_failures_are_the_same_for_reads_and_writes(answer: Answer, error: type[TicketingError]) -> None:
    """A status that says "not applied" raises the same error for a read and a write."""
    jira, _ = client(lambda _: answer)
    for call in (jira.read("/x"), jira.write("POST", "/x", {})):
        with pytest.raises(TicketingError) as raised:
            await call
        assert type(raised.value) is error


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in OPEN])
async def test_undecided_answers_leave_a_write_unknown(answer: Answer) -> None:
    """408, 5xx and an unreadable success mean "try again" for a read and "look first" for a write."""
    jira, _ = client(lambda _: answer)
    with pytest.raises(TicketingUnavailable):
        await jira.read("/x")
    with pytest.raises(EffectUnknown):
        await jira.write("POST", "/x", {})


@pytest.mark.parametrize(("sent", "error"), [(True, EffectUnknown), (False, TicketingUnavailable)])
async def test_broken_exchange_depends_on_what_was_sent(sent: bool, error: type[TicketingError]) -> None:
    """Without an answer a write is unknown unless no byte left; a read may always be tried again."""
    jira, _ = client(failing(HttpFailed("reset", sent=sent)))
    with pytest.raises(TicketingUnavailable):
        await jira.read("/x")
    with pytest.raises(error):
        await jira.write("POST", "/x", {})


async def test_one_attempt_only() -> None:
    """Nothing is tried twice inside."""
    jira, http = client(lambda _: Answer(503))
    with pytest.raises(EffectUnknown):
        await jira.write("POST", "/x", {})
    assert len(http.requests) == 1


async def test_wait_is_passed_on() -> None:
    """429 and 503 hand on the wait that was asked for, and 429 its reason."""
    limited = Answer(429, json=ERROR, headers={"Retry-After": "31", "RateLimit-Reason": "jira-per-issue-on-write"})
    jira, _ = client(lambda _: limited)
    with pytest.raises(TicketingUnavailable, match="jira-per-issue-on-write") as raised:
        await jira.write("POST", "/x", {})
    assert raised.value.retry_after == 31
    jira, _ = client(lambda _: Answer(503, headers={"Retry-After": "9"}))
    with pytest.raises(TicketingUnavailable) as read:
        await jira.read("/x")
    assert read.value.retry_after == 9


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "Mon, 02 Mar 2026 09:01:30 GMT"}, 90.0),
        ({"retry-after": "Mon, 02 Mar 2026 08:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 02 Mar 2026 09:01:30 -0000"}, 90.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 99 Mar 2026 09:01:30 GMT"}, None),
        ({"x-ratelimit-reset": "2026-03-02T09:00:20Z"}, 20.0),
        ({"retry-after": "3", "x-ratelimit-reset": "2026-03-02T09:00:20Z"}, 3.0),
        ({"x-ratelimit-reset": "later"}, None),
    ],
)
def test_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, an HTTP date or Jira's reset time give the wait; anything else gives none."""
    assert retry_after(headers, NOW) == seconds


async def test_message_is_jiras_and_bounded() -> None:
    """Jira's own words are in the message as one line, cut, and the token never."""
    told = {"errorMessages": ["No\nway."], "errors": {"comment": "too long " * 100}}
    jira, _ = client(lambda _: Answer(400, json=told))
    with pytest.raises(TicketingRefused, match=r"Jira answered 400: No way\. comment: too long") as raised:
        await jira.read("/x")
    assert len(str(raised.value)) < 400
    assert "t0ken" not in str(raised.value)
