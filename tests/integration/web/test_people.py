"""Logging in, staying logged in, and being logged out."""

from http.cookies import SimpleCookie

import httpx
import msgspec
import pytest
from litestar import Litestar
from tests.integration.web.conftest import PASSWORD, Bell, bearer
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_core import PluginManager
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.accounts import put_user
from aiops_host.trust.passwords import PasswordRefused
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app

EMAIL = "person@a.example"
HOME = "https://aiops.example"


@pytest.fixture(autouse=True)
async def person(two_tenants: TwoTenants, opened: Database) -> None:
    """A technician of tenant a."""
    await put_user(opened, EMAIL, PASSWORD, roles={two_tenants.a.tenant_id: "technician"})


async def log_in(http: httpx.AsyncClient, password: str = PASSWORD, email: str = EMAIL) -> httpx.Response:
    """Log in, and have the client forget the cookie it got."""
    answer = await http.post("/api/v1/login", json={"email": email, "password": password})
    http.cookies.clear()
    return answer


async def status_of(http: httpx.AsyncClient, token: str) -> int:
    """Return what a session's token is answered."""
    return (await http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code


async def test_a_login_opens_a_session_by_token_and_by_cookie(http: httpx.AsyncClient) -> None:
    """The answer's token works as Bearer and as the cookie, and says who is logged in."""
    answer = await log_in(http)
    token = answer.json()["token"]
    assert answer.headers["cache-control"] == "no-store"
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"aiops_session={token}"}):
        me = (await http.get("/api/v1/me", headers=headers)).json()
        assert (me["email"], me["platform_admin"]) == (EMAIL, False)
        assert [(t["slug"], t["role"]) for t in me["tenants"]] == [("tenant-a", "technician")]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.attack(27)
@pytest.mark.promise("sessions")
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, secure: bool
) -> None:
    """The cookie is HttpOnly and SameSite=Lax, for the whole site, and Secure where the setting says so."""
    app = create_app(msgspec.structs.replace(settings, cookie_secure=secure), plugins, opened, vault, bell)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HOME) as client:
        answer = await client.post("/api/v1/login", json={"email": EMAIL, "password": PASSWORD})
    cookie = SimpleCookie(answer.headers["set-cookie"])["aiops_session"]
    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "lax"
    assert cookie["path"] == "/"
    assert bool(cookie["secure"]) is secure
    assert 0 < int(cookie["max-age"]) <= 12 * 3600


async def test_a_refused_login_does_not_say_why(http: httpx.AsyncClient) -> None:
    """An unknown address and a wrong password are answered alike to the byte."""
    wrong = await log_in(http, "not the password")
    unknown = await log_in(http, email="nobody@a.example")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.content == unknown.content
    assert "set-cookie" not in wrong.headers


@pytest.mark.attack(28)
@pytest.mark.attack(28)
async def test_five_wrong_passwords_lock_the_person_out_for_a_while(
    http: httpx.AsyncClient, database: DatabaseUrls
) -> None:
    """After five failures the right password is refused too, until the lock has passed; a login forgets failures."""
    for _ in range(5):
        refused = await log_in(http, "not the password")
    locked = await log_in(http)
    assert (locked.status_code, locked.content) == (401, refused.content)
    await execute_as_superuser(database.superuser, "update app_user set locked_until = now() - interval '1 second'")
    assert (await log_in(http)).status_code == 200
    for _ in range(4):
        await log_in(http, "not the password")
    assert (await log_in(http)).status_code == 200


@pytest.mark.promise("sessions")
async def test_a_logout_ends_the_session(http: httpx.AsyncClient) -> None:
    """After a logout the token opens nothing, and the browser is told to forget the cookie."""
    token, other = (await log_in(http)).json()["token"], (await log_in(http)).json()["token"]
    answer = await http.post("/api/v1/logout", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 204
    assert SimpleCookie(answer.headers["set-cookie"])["aiops_session"]["max-age"] == "0"
    assert (await status_of(http, token), await status_of(http, other)) == (401, 200)


@pytest.mark.attack(28)
async def test_a_login_ends_the_browsers_former_session(http: httpx.AsyncClient) -> None:
    """A browser that logs in again gets a new token, and its former one is dead."""
    before = (await log_in(http)).json()["token"]
    again = await http.post(
        "/api/v1/login",
        json={"email": EMAIL, "password": PASSWORD},
        headers={"Cookie": f"aiops_session={before}"},
    )
    http.cookies.clear()
    assert again.json()["token"] != before
    assert (await status_of(http, before), await status_of(http, again.json()["token"])) == (401, 200)


@pytest.mark.parametrize(
    "aged",
    [
        "update web_session set expires_at = now()",
        "update web_session set last_seen_at = now() - interval '30 minutes'",
    ],
    ids=["its whole life", "idle"],
)
@pytest.mark.attack(28)
@pytest.mark.promise("sessions")
async def test_a_session_ends_by_itself(http: httpx.AsyncClient, database: DatabaseUrls, aged: str) -> None:
    """A session ends after twelve hours, and after half an hour in which nobody used it."""
    token = (await log_in(http)).json()["token"]
    assert await status_of(http, token) == 200
    await execute_as_superuser(database.superuser, aged)
    assert await status_of(http, token) == 401


async def test_use_keeps_a_session_alive(http: httpx.AsyncClient, database: DatabaseUrls) -> None:
    """A session used shortly before its idle limit is good for another half hour."""
    token = (await log_in(http)).json()["token"]
    for _ in range(3):
        await execute_as_superuser(
            database.superuser, "update web_session set last_seen_at = last_seen_at - interval '29 minutes'"
        )
        assert await status_of(http, token) == 200


async def test_a_new_password_ends_every_session(http: httpx.AsyncClient, opened: Database) -> None:
    """Whoever was logged in with the old password is logged out."""
    token = (await log_in(http)).json()["token"]
    await put_user(opened, EMAIL, PASSWORD + "2")
    assert await status_of(http, token) == 401
    assert (await log_in(http, PASSWORD + "2")).status_code == 200


@pytest.mark.attack(21)
async def test_no_token_is_stored(http: httpx.AsyncClient, opened: Database, database: DatabaseUrls) -> None:
    """The database holds neither the password nor the token, and the application role cannot read the tables."""
    token = (await log_in(http)).json()["token"]
    import asyncpg  # noqa: PLC0415 - as superuser, to see every row

    con = await asyncpg.connect(database.superuser)
    dump = str(await con.fetch("select * from web_session")) + str(await con.fetch("select * from app_user"))
    await con.close()
    assert token not in dump
    assert PASSWORD not in dump
    assert "$argon2id$" in dump
    async with opened.role("app") as app:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch("select * from web_session")


async def test_bearer_wins_over_the_cookie(http: httpx.AsyncClient, opened: Database) -> None:
    """With both, the Bearer token alone counts: whose it is, and that it is dead."""
    await put_user(opened, "root@example.com", PASSWORD, platform_admin=True)
    root = await bearer(http, "root@example.com")
    cookie = {"Cookie": f"aiops_session={(await log_in(http)).json()['token']}"}
    me = await http.get("/api/v1/me", headers={**root, **cookie})
    dead = await http.get("/api/v1/me", headers={"Authorization": "Bearer dead", **cookie})
    assert me.json()["email"] == "root@example.com"
    assert dead.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://aiops.example.evil.example"}, 403),
        ({"Origin": "http://aiops.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example", "X-Requested-With": "aiops"}, 403),
        ({"Origin": HOME}, 204),
        ({"X-Requested-With": "aiops"}, 204),
    ],
    ids=["nothing", "other site", "longer name", "other scheme", "null", "other site with header", "own", "header"],
)
@pytest.mark.attack(27)
@pytest.mark.attack(27)
async def test_a_change_by_cookie_needs_one_of_our_pages(
    http: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    """A change with the cookie alone is refused unless our own origin or a header no form can send stands by it."""
    cookie = {"Cookie": f"aiops_session={(await log_in(http)).json()['token']}"}
    answer = await http.post("/api/v1/logout", headers={**cookie, **headers})
    assert answer.status_code == status
    assert (await http.get("/api/v1/me", headers=cookie)).status_code == (401 if status == 204 else 200)


@pytest.mark.attack(27)
async def test_another_sites_form_cannot_log_anybody_in(http: httpx.AsyncClient) -> None:
    """A login posted from a page of another site is refused, so that nobody works in a stranger's session."""
    answer = await http.post(
        "/api/v1/login", json={"email": EMAIL, "password": PASSWORD}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"",
        b"\xff",
        b'{"email": "a@b", "password": ""}',
        b'{"email": "a\\u0000@b", "password": "x"}',
        b'{"email": "a@b.c", "password": "x", "role": "platform-admin"}',
    ],
)
async def test_a_malformed_login_is_a_bad_request(http: httpx.AsyncClient, body: bytes) -> None:
    """A login that is not an address and a password is answered 400 as a problem."""
    answer = await http.post("/api/v1/login", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("email", "password"), [("no address", PASSWORD), ("a@b.example", "short")])
async def test_a_person_needs_an_address_and_a_long_password(opened: Database, email: str, password: str) -> None:
    """A person without an address, or with a short password, is not made."""
    with pytest.raises(PasswordRefused):
        await put_user(opened, email, password)


async def test_addresses_differ_not_by_case(http: httpx.AsyncClient, app: Litestar) -> None:
    """A person may write their address in capitals."""
    assert (await log_in(http, email=EMAIL.upper())).status_code == 200
