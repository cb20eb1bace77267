"""A person's own account: password, sessions and API tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from litestar import Litestar
from tests.integration.web.conftest import PASSWORD, Bell, Staff
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_core import PluginManager
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.accounts import put_user
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app

EMAIL = "person@a.example"
NEW = "another horse battery"


@pytest.fixture
async def person(two_tenants: TwoTenants, opened: Database) -> UUID:
    """A technician of tenant a, with a password."""
    return await put_user(opened, EMAIL, PASSWORD, roles={two_tenants.a.tenant_id: "technician"})


async def log_in(http: httpx.AsyncClient, password: str = PASSWORD, email: str = EMAIL, **more: str) -> httpx.Response:
    """Log in from an address and with a browser of one's own; the client forgets the cookie."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    answer = await http.post("/api/v1/login", json={"email": email, "password": password}, headers=headers)
    http.cookies.clear()
    return answer


async def bearer(http: httpx.AsyncClient, **more: str) -> dict[str, str]:
    """Return the header of a fresh session."""
    return {"Authorization": f"Bearer {(await log_in(http, **more)).json()['token']}"}


async def status(http: httpx.AsyncClient, headers: dict[str, str], path: str = "/me") -> int:
    """Return how a path is answered."""
    return (await http.get(f"/api/v1{path}", headers=headers)).status_code


async def make_token(http: httpx.AsyncClient, headers: dict[str, str], **wish: Any) -> dict[str, str]:
    """Make an API token and return the header to send."""
    answer = await http.post("/api/v1/me/tokens", headers=headers, json={"name": "script", **wish})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


async def test_sessions_are_listed_and_ended_one_by_one(http: httpx.AsyncClient, person: UUID) -> None:
    """A person sees where they are logged in, which one is this, and ends another; nobody ends somebody else's."""
    here = await bearer(http, user_agent="Firefox", x_forwarded_for="203.0.113.9")
    there = await bearer(http, user_agent="Chromium\x7f" + "x" * 300, x_forwarded_for="2001:db8::1")
    listed = (await http.get("/api/v1/me/sessions", headers=here)).json()
    shown = {s["address"]: s for s in listed}
    assert (shown["203.0.113.9"]["agent"], shown["203.0.113.9"]["current"]) == ("Firefox", True)
    assert (shown["2001:db8::1"]["agent"], shown["2001:db8::1"]["current"]) == ("Chromium" + "x" * 192, False)
    assert {s["method"] for s in listed} == {"password"}
    path = f"/api/v1/me/sessions/{shown['2001:db8::1']['id']}"
    assert (await http.delete(path, headers=here)).status_code == 204
    assert (await status(http, here), await status(http, there)) == (200, 401)
    assert (await http.delete(path, headers=here)).status_code == 404


async def test_nobody_ends_somebody_elses_session(http: httpx.AsyncClient, person: UUID, staff: Staff) -> None:
    """Another person's session answers as one that is not there, and goes on."""
    here = await bearer(http)
    (own,) = (await http.get("/api/v1/me/sessions", headers=here)).json()
    foreign = await http.delete(f"/api/v1/me/sessions/{own['id']}", headers=staff.platform)
    random = await http.delete(f"/api/v1/me/sessions/{uuid4()}", headers=staff.platform)
    assert (foreign.status_code, foreign.content) == (404, random.content)
    assert await status(http, here) == 200


async def test_logging_out_everywhere_ends_every_session(http: httpx.AsyncClient, person: UUID, staff: Staff) -> None:
    """All sessions of the person are dead afterwards, this one too, and nobody else's."""
    sessions = [await bearer(http) for _ in range(3)]
    answer = await http.post("/api/v1/logout/everywhere", headers=sessions[0])
    assert (answer.status_code, answer.json()) == (200, {"ended": 3})
    assert [await status(http, s) for s in sessions] == [401, 401, 401]
    assert await status(http, staff.reader_a) == 200


async def test_a_password_is_changed_by_who_knows_the_one_before(http: httpx.AsyncClient, person: UUID) -> None:
    """Every session ends and the answer holds a new one, with an id of its own; the old password is dead."""
    first, second = await bearer(http), await bearer(http)
    path = "/api/v1/me/password"
    wrong = await http.post(path, headers=first, json={"current": "not it", "new": NEW})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "login-refused")
    short = await http.post(path, headers=first, json={"current": PASSWORD, "new": "short"})
    assert short.status_code == 400
    changed = await http.post(path, headers=first, json={"current": PASSWORD, "new": NEW})
    http.cookies.clear()
    assert changed.status_code == 200
    fresh = {"Authorization": f"Bearer {changed.json()['token']}"}
    assert [await status(http, h) for h in (first, second, fresh)] == [401, 401, 200]
    assert (await log_in(http)).status_code == 401
    assert (await log_in(http, NEW)).status_code == 200


async def test_guesses_at_an_open_screen_lock_the_person_too(http: httpx.AsyncClient, person: UUID) -> None:
    """Five wrong passwords for a change lock as five wrong logins do, and the right one is refused then."""
    here = await bearer(http)
    for _ in range(5):
        await http.post("/api/v1/me/password", headers=here, json={"current": "not it", "new": NEW})
    locked = await http.post("/api/v1/me/password", headers=here, json={"current": PASSWORD, "new": NEW})
    assert locked.status_code == 401
    assert (await log_in(http)).status_code == 401


@pytest.mark.attack(28)
async def test_an_address_that_guesses_has_to_wait(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, person: UUID
) -> None:
    """After its failures, whoever they were for, an address is answered 429 with Retry-After, the right login too."""
    few = msgspec.structs.replace(settings, login_failures=3)
    app = create_app(few, plugins, opened, vault, bell)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://aiops.example") as client:
        for number in range(3):
            refused = await log_in(client, email=f"{number}@a.example", x_forwarded_for="203.0.113.9")
            assert refused.status_code == 401
        waits = await log_in(client, x_forwarded_for="203.0.113.9")
        assert (waits.status_code, waits.json()["code"]) == (429, "too-many-attempts")
        assert 0 < int(waits.headers["retry-after"]) <= 600
        assert (await log_in(client, x_forwarded_for="203.0.113.8")).status_code == 200


@pytest.mark.attack(28)
async def test_an_unknown_address_costs_a_guesser_what_a_known_one_does(
    app: Litestar, http: httpx.AsyncClient, person: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash is compared for whoever logs in: known, unknown, locked, or without a password."""
    from aiops_host.trust import passwords  # noqa: PLC0415 - counted where it is called

    compared: list[str] = []
    matches = passwords._matches
    monkeypatch.setattr(passwords, "_matches", lambda stored, given: compared.append(stored) or matches(stored, given))
    bodies = {(await log_in(http, "not it", email)).content for email in (EMAIL, "nobody@a.example")}
    assert len(bodies) == 1
    assert [stored.split("$")[1:4] for stored in compared] == [compared[0].split("$")[1:4]] * 2


async def test_a_token_works_within_its_tenant_and_role(
    http: httpx.AsyncClient, staff: Staff, two_tenants: TwoTenants
) -> None:
    """A platform administrator's token for one tenant reads there as it was made to, and reaches nothing else."""
    reads = await make_token(http, staff.platform, tenant="tenant-a", role="read-only")
    assert await status(http, reads, "/deliveries") == 200
    assert await status(http, reads, "/deliveries?tenant=tenant-a") == 200
    assert await status(http, reads, "/deliveries?tenant=tenant-b") == 404
    assert await status(http, reads, "/tenants") == 403
    assert await status(http, reads, "/people") == 403
    assert await status(http, reads, "/members") == 403
    me = (await http.get("/api/v1/me", headers=reads)).json()
    assert (me["platform_admin"], [(t["slug"], t["role"]) for t in me["tenants"]]) == (
        False,
        [("tenant-a", "read-only")],
    )
    manages = await make_token(http, staff.platform, tenant="tenant-a", role="tenant-admin")
    assert await status(http, manages, "/members") == 200
    assert await status(http, manages, "/tenants") == 403
    refused = await http.get("/api/v1/tenants", headers=manages)
    assert refused.json()["detail"].endswith("have the permission tenants.list. This API token was made for less.")
    runs_it = await make_token(http, staff.platform, role="platform-admin")
    assert (await status(http, runs_it, "/tenants"), await status(http, runs_it, "/people")) == (200, 200)
    assert await status(http, runs_it, "/deliveries?tenant=tenant-b") == 200
    lesser = await make_token(http, staff.platform, role="technician")
    assert (await status(http, lesser, "/tenants"), await status(http, lesser, "/deliveries?tenant=tenant-b")) == (
        403,
        200,
    )


async def test_a_token_has_only_the_permissions_it_was_made_for(http: httpx.AsyncClient, staff: Staff) -> None:
    """Narrowed to one permission, a token has that one and may say whose it is."""
    token = await make_token(http, staff.admin_a, role="technician", permissions=["deliveries.read"])
    assert (await status(http, token, "/deliveries"), await status(http, token)) == (200, 200)
    for path in ("/runs", "/plugins", "/figures", "/connections"):
        assert await status(http, token, path) == 403, path


@pytest.mark.promise("tokens-bounded")
async def test_a_token_is_never_worth_more_than_its_owner_is_now(http: httpx.AsyncClient, staff: Staff) -> None:
    """Demoted, the owner's token does what the owner may now; it gets nothing back that was not asked for."""
    token = await make_token(http, staff.admin_a, role="tenant-admin")
    assert await status(http, token, "/members") == 200
    members = (await http.get("/api/v1/members", headers=staff.admin_a)).json()["items"]
    other = f"/api/v1/members/{members[1]['user_id']}?tenant=tenant-a"
    own = f"/api/v1/members/{members[0]['user_id']}?tenant=tenant-a"
    assert (await http.put(other, headers=staff.platform, json={"role": "tenant-admin"})).status_code == 204
    assert (await http.put(own, headers=staff.platform, json={"role": "read-only"})).status_code == 204
    assert (await status(http, token, "/members"), await status(http, token, "/deliveries")) == (403, 200)


@pytest.mark.promise("tokens-bounded", figure="10 doors")
async def test_a_stolen_token_opens_no_other_door(http: httpx.AsyncClient, staff: Staff) -> None:
    """With a token of the highest role nobody is invited, promoted or reset, and no token or session is made."""
    token = await make_token(http, staff.platform, role="platform-admin")
    who = (await http.get("/api/v1/people", headers=staff.platform)).json()["items"][0]["user_id"]
    tried: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "/me/tokens", {"name": "x", "role": "platform-admin"}),
        ("GET", "/me/tokens", None),
        ("GET", "/me/sessions", None),
        ("POST", "/me/password", {"current": PASSWORD, "new": NEW}),
        ("POST", "/logout/everywhere", None),
        ("POST", "/invitations?tenant=tenant-a", {"email": "x@x.example"}),
        ("PUT", f"/people/{who}", {"platform_admin": True}),
        ("POST", f"/people/{who}/reset", {}),
        ("POST", "/people", {"email": "x@x.example"}),
        ("PUT", f"/members/{who}?tenant=tenant-a", {"role": "tenant-admin"}),
    ]
    for method, path, body in tried:
        answer = await http.request(method, f"/api/v1{path}", headers=token, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "session-needed"), path


async def test_a_token_is_no_session(http: httpx.AsyncClient, staff: Staff) -> None:
    """As a cookie a token opens nothing, so that no page of another site can use it."""
    token = (await make_token(http, staff.admin_a))["Authorization"].removeprefix("Bearer ")
    assert await status(http, {"Cookie": f"aiops_session={token}"}) == 401


async def test_a_token_is_shown_once_and_stored_hashed(
    http: httpx.AsyncClient, staff: Staff, database: DatabaseUrls
) -> None:
    """Lists show how it begins, not the token, and the database does not hold it."""
    import asyncpg  # noqa: PLC0415 - as superuser, to see every row

    token = (await make_token(http, staff.admin_a))["Authorization"].removeprefix("Bearer ")
    own = await http.get("/api/v1/me/tokens", headers=staff.admin_a)
    of_tenant = await http.get("/api/v1/tokens", headers=staff.admin_a)
    con = await asyncpg.connect(database.superuser)
    dump = str(await con.fetch("select * from api_token")) + str(await con.fetch("select * from audit_entry"))
    await con.close()
    for text in (own.text, of_tenant.text, dump):
        assert token not in text
        assert token[20:-6] not in text
    assert own.json()["items"][0]["hint"] == token[:14]


async def test_a_token_ends_when_it_expires_or_is_revoked(
    http: httpx.AsyncClient, staff: Staff, database: DatabaseUrls
) -> None:
    """Its last use is listed; revoked by its owner or by the tenant's administrator, or too old, it opens nothing."""
    first, second = await make_token(http, staff.technician_a), await make_token(http, staff.technician_a)
    third = await make_token(http, staff.technician_a, days=1)
    assert [await status(http, t) for t in (first, second, third)] == [200, 200, 200]
    listed = (await http.get("/api/v1/me/tokens?limit=2", headers=staff.technician_a)).json()
    rest = await http.get(f"/api/v1/me/tokens?limit=2&cursor={listed['next']}", headers=staff.technician_a)
    tokens = listed["items"] + rest.json()["items"]
    used = [datetime.fromisoformat(t["last_used_at"]) for t in tokens]
    assert all(abs(datetime.now(UTC) - moment) < timedelta(minutes=5) for moment in used)
    assert datetime.fromisoformat(tokens[0]["expires_at"]) - datetime.now(UTC) < timedelta(days=1)
    own, others = f"/api/v1/me/tokens/{tokens[2]['id']}", f"/api/v1/tokens/{tokens[1]['id']}"
    assert (await http.delete(own, headers=staff.reader_a)).status_code == 404
    assert (await http.delete(others, headers=staff.admin_b)).status_code == 404
    assert (await http.delete(own, headers=staff.technician_a)).status_code == 204
    assert (await http.delete(others, headers=staff.admin_a)).status_code == 204
    assert [await status(http, t) for t in (first, second, third)] == [401, 401, 200]
    await execute_as_superuser(database.superuser, "update api_token set expires_at = now()")
    assert await status(http, third) == 401
    mistyped = {"Authorization": third["Authorization"][:-1]}
    answers = [await http.get("/api/v1/me", headers=headers) for headers in (third, mistyped)]
    assert "Make another on the dashboard's page Account, or with `aiops tokens create`." in answers[0].json()["detail"]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("who", "wish", "status_code", "says"),
    [
        ("technician_a", {"role": "tenant-admin"}, 422, "You are technician there"),
        ("admin_a", {"role": "platform-admin"}, 422, "You are tenant-admin there"),
        ("admin_a", {"tenant": "tenant-b"}, 422, "no such tenant"),
        ("platform", {"tenant": "tenant-a", "role": "platform-admin"}, 422, "tenant-admin at most"),
        ("admin_a", {"permissions": ["deliveries.replay"]}, 422, "read-only does not have"),
        ("admin_a", {"role": "tenant-admin", "permissions": ["members.manage"]}, 422, "logged in"),
        ("admin_a", {"permissions": ["account"]}, 422, "logged in"),
        ("admin_a", {"permissions": ["deliveries.rad"]}, 422, "no permission"),
        ("admin_a", {"permissions": ["public"]}, 422, "no permission"),
        ("admin_a", {"days": 367}, 400, ""),
        ("admin_a", {"days": 0}, 400, ""),
        ("admin_a", {"name": "  "}, 400, ""),
    ],
)
async def test_a_token_beyond_its_owner_is_not_made(
    http: httpx.AsyncClient, staff: Staff, who: str, wish: dict[str, Any], *, status_code: int, says: str
) -> None:
    """A higher role, a foreign tenant, a permission the role lacks or no token may have, and no end are refused."""
    answer = await http.post("/api/v1/me/tokens", headers=getattr(staff, who), json={"name": "x", **wish})
    assert answer.status_code == status_code
    assert says in answer.json()["detail"]
    assert (await http.get("/api/v1/me/tokens", headers=getattr(staff, who))).json()["items"] == []


async def test_requests_that_repeat_a_token_are_one_use(http: httpx.AsyncClient, staff: Staff) -> None:
    """The time of the last use is written once in half a minute, not at every request."""
    token = await make_token(http, staff.admin_a)
    for _ in range(2):
        await status(http, token)
        listed = (await http.get("/api/v1/me/tokens", headers=staff.admin_a)).json()["items"]
        used = listed[0]["last_used_at"]
        assert used is not None
    assert used == (await http.get("/api/v1/tokens", headers=staff.admin_a)).json()["items"][0]["last_used_at"]
