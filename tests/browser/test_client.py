"""The dashboard's client against a real host."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from tests.support.dashboard import ANNA, BORIS, HARBOR, LINDNER, PASSWORD, PLATFORM, Dashboard

from aiops_admin.auth import People
from aiops_admin.client import Api, ApiAway, ApiError, NotLoggedIn


@pytest.fixture
async def api(dashboard: Dashboard) -> AsyncIterator[Api]:
    """The client of one dashboard process."""
    client = Api(dashboard.api)
    yield client
    await client.aclose()


async def test_one_client_keeps_people_apart(api: Api) -> None:
    """After several logins through one client each token is its own person's, and no cookie was kept."""
    tokens = {email: await api.log_in(email, PASSWORD) for email in (ANNA, BORIS, PLATFORM)}
    assert {email: (await api.me(token)).email for email, token in tokens.items()} == {e: e for e in tokens}
    assert list(api._http.cookies.jar) == []


async def test_what_people_may_not_see_is_refused(dashboard: Dashboard, api: Api) -> None:
    """The host's refusal arrives with its status and its words."""
    token = await api.log_in(ANNA, PASSWORD)
    theirs = dashboard.send(LINDNER, f"T-{uuid4().int % 10**12}")
    for call in (api.delivery(token, theirs, HARBOR), api.delivery(token, theirs, LINDNER)):
        with pytest.raises(ApiError) as refused:
            await call
        assert refused.value.status == 404
    with pytest.raises(ApiError) as refused:
        await api.tenants(token)
    assert refused.value.status == 403
    assert str(refused.value)


async def test_a_token_ends_with_its_session(api: Api) -> None:
    """After the logout, and for a token nobody was given, the host knows nobody."""
    token = await api.log_in(ANNA, PASSWORD)
    await api.log_out(token)
    for nobody in (token, "x" * 43, "a b"):
        with pytest.raises(NotLoggedIn):
            await api.me(nobody)


async def test_a_closed_port_is_a_host_that_is_away() -> None:
    """Whatever goes wrong on the way is told apart from a refusal."""
    api = Api("http://127.0.0.1:9")
    with pytest.raises(ApiAway):
        await api.me("token")
    await api.aclose()


async def test_a_person_is_remembered_for_seconds_only(dashboard: Dashboard, api: Api) -> None:
    """Within seconds the host is not asked again; afterwards an ended session is noticed."""
    now = 100.0
    people = People(api, lambda: now)
    email = f"{uuid4().hex}@harbor.example"
    dashboard.add_person(email, HARBOR)
    token = await api.log_in(email, PASSWORD)
    assert await people.find(token)
    dashboard.end_sessions(email)
    now += 4.9
    assert await people.find(token)
    now += 0.2
    assert await people.find(token) is None


async def test_a_forgotten_person_is_asked_for_at_once(dashboard: Dashboard, api: Api) -> None:
    """A logout does not wait for the memory to fade."""
    people = People(api)
    token = await api.log_in(ANNA, PASSWORD)
    assert await people.find(token)
    await api.log_out(token)
    people.forget(token)
    assert await people.find(token) is None
