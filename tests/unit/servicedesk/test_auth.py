"""The key stays in its header, and the cloud's tokens are fetched when needed and once."""

import asyncio
from typing import Any, get_args
from urllib.parse import parse_qs

import pytest

from aiops_core.config import load_config
from aiops_core.errors import AuthenticationFailed, EffectUnknown, HttpFailed, TicketingUnavailable
from aiops_core.services import HttpResponse
from aiops_core.testing.fakes import Answer, FakeHttp, FakeServices, FrozenClock, SentRequest
from aiops_core.testing.ticketing import make_enhancement, make_marker
from aiops_servicedesk.auth import AccessTokens
from aiops_servicedesk.config import DataCentre, ServiceDeskConfig
from aiops_servicedesk.ticketing import ServiceDeskTool
from aiops_servicedesk.wire import ACCOUNTS

DONE = {"status_code": 2000, "status": "success"}
CLOUD = {
    "base_url": "https://sdpondemand.manageengine.eu",
    "edition": "cloud",
    "portal": "itdesk",
    "data_centre": "eu",
    "client_id": "client-1",
    "client_secret": "client-secret-1",
    "refresh_token": "refresh-token-1",
}


class Interleaved(FakeHttp):
    """A client whose answers take their turn, so that calls at the same time meet."""

    async def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        """Let others go first."""
        await asyncio.sleep(0)
        answer = await super().request(method, url, **options)
        await asyncio.sleep(0)
        return answer


class Zoho:
    """An accounts server that numbers its tokens, and an API that takes the live ones."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.http = Interleaved(self._answer)
        self.tool = ServiceDeskTool(
            load_config(ServiceDeskConfig, CLOUD), FakeServices(http=self.http, clock=self.clock)
        )
        self.tokens = 0
        self.oldest_live = 1
        self.token_answer: Any = None

    @property
    def token_requests(self) -> list[SentRequest]:
        """What the accounts server was asked."""
        return [r for r in self.http.requests if "accounts" in r.url]

    def _answer(self, request: SentRequest) -> HttpResponse:
        if "accounts" in request.url:
            return self._token()
        number = request.headers["Authorization"].removeprefix("Zoho-oauthtoken token-")
        if int(number) < self.oldest_live:
            return Answer(401, json={"response_status": {"status_code": 4000, "messages": [{"status_code": 401}]}})
        return Answer(200, json={"request": {"id": "1", "subject": "x"}, "response_status": DONE})

    def _token(self) -> HttpResponse:
        if isinstance(self.token_answer, Exception):
            raise self.token_answer
        if self.token_answer is not None:
            answer: HttpResponse = self.token_answer
            return answer
        self.tokens += 1
        return Answer(200, json={"access_token": f"token-{self.tokens}", "expires_in": 3600})


async def test_the_technician_key_has_its_own_header() -> None:
    """On-premises calls carry the key as authtoken, the versioned Accept and the portal's id."""
    http = FakeHttp(lambda _: Answer(200, json={"request": {"id": "1"}, "response_status": DONE}))
    values = {"base_url": "https://desk.example/", "technician_key": "key-1", "portal": "it", "portal_id": "3"}
    await ServiceDeskTool(load_config(ServiceDeskConfig, values), FakeServices(http=http)).get_ticket("1")
    (request,) = http.requests
    assert request.url == "https://desk.example/app/it/api/v3/requests/1"
    assert dict(request.headers) == {
        "accept": "application/vnd.manageengine.sdp.v3+json",
        "authtoken": "key-1",
        "portalid": "3",
    }


async def test_a_token_is_fetched_once() -> None:
    """Calls at the same time and later share one token, asked for at the data centre's accounts server."""
    zoho = Zoho()
    await asyncio.gather(*(zoho.tool.get_ticket("1") for _ in range(8)))
    (request,) = zoho.token_requests
    assert request.url == "https://accounts.zoho.eu/oauth/v2/token"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["client-1"],
        "client_secret": ["client-secret-1"],
        "refresh_token": ["refresh-token-1"],
    }


async def test_a_token_is_renewed_before_it_ends() -> None:
    """A minute before its end the next token is fetched, and not earlier."""
    zoho = Zoho()
    await zoho.tool.get_ticket("1")
    zoho.clock.advance(3539)
    await zoho.tool.get_ticket("1")
    assert zoho.tokens == 1
    zoho.clock.advance(2)
    await zoho.tool.get_ticket("1")
    assert zoho.tokens == 2


async def test_a_refused_token_is_renewed_once() -> None:
    """Calls whose token was revoked fetch one new token together and succeed."""
    zoho = Zoho()
    await zoho.tool.get_ticket("1")
    zoho.oldest_live = 2
    await asyncio.gather(*(zoho.tool.get_ticket("1") for _ in range(8)))
    assert zoho.tokens == 2


async def test_a_late_refusal_does_not_cost_a_new_token() -> None:
    """A call that is refused after another has already fetched a new token uses that one."""
    zoho = Zoho()
    config = load_config(ServiceDeskConfig, CLOUD)
    tokens = AccessTokens(config, FakeServices(http=zoho.http, clock=zoho.clock))
    first = await tokens.headers()
    assert tokens.renewable(first)
    second = await tokens.headers()
    assert tokens.renewable(first)
    assert await tokens.headers() == second != first


async def test_a_token_that_stays_refused_ends_the_call() -> None:
    """A second refusal is the credentials' fault; the call is not repeated again."""
    zoho = Zoho()
    zoho.oldest_live = 99
    with pytest.raises(AuthenticationFailed):
        await zoho.tool.get_ticket("1")
    assert (zoho.tokens, len(zoho.http.requests)) == (2, 4)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, json={"error": "invalid_code"}), AuthenticationFailed),
        (Answer(200, json={"error": "invalid_client"}), AuthenticationFailed),
        (Answer(401), AuthenticationFailed),
        (
            Answer(400, json={"error": "Access Denied", "error_description": "Too many requests continuously."}),
            TicketingUnavailable,
        ),
        (Answer(500), TicketingUnavailable),
        (Answer(429), TicketingUnavailable),
        (Answer(200, content=b"<html>"), TicketingUnavailable),
        (Answer(200, json=[]), TicketingUnavailable),
        (Answer(200, content=b'{"a":' * 50_000), TicketingUnavailable),
        (HttpFailed("no answer", sent=True), TicketingUnavailable),
        (HttpFailed("no route", sent=False), TicketingUnavailable),
    ],
    ids=range(11),
)
async def test_without_a_token_nothing_is_written(answer: Any, error: type[Exception]) -> None:
    """However the accounts server fails, the note was certainly not posted, and no secret is told."""
    zoho = Zoho()
    zoho.token_answer = answer
    with pytest.raises(error) as raised:
        await zoho.tool.update_ticket("1", make_enhancement(), make_marker())
    assert not isinstance(raised.value, EffectUnknown)
    assert zoho.http.requests == zoho.token_requests
    assert not any(secret in str(raised.value) for secret in ("client-secret-1", "refresh-token-1"))


async def test_a_write_without_time_left_is_not_sent() -> None:
    """A write whose time went by waiting for a token is given up unsent."""
    zoho = Zoho()
    slow = Answer(200, json={"access_token": "token-1", "expires_in": 3600})

    def late(request: SentRequest) -> HttpResponse:
        zoho.clock.advance(17.5)
        return slow

    zoho.http._answer = late
    with pytest.raises(TicketingUnavailable, match="no time to write"):
        await zoho.tool.update_ticket("1", make_enhancement(), make_marker())
    assert len(zoho.http.requests) == 1


def test_each_data_centre_has_its_accounts_server() -> None:
    """Every data centre that can be configured is known, and each has a server of its own."""
    assert set(ACCOUNTS) == set(get_args(DataCentre))
    assert len(set(ACCOUNTS.values())) == len(ACCOUNTS)
