"""Logging in with a second factor."""

import base64
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from tests.integration.web.conftest import PASSWORD, Bell, Staff, refused_logins
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_core import PluginManager
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.accounts import put_user
from aiops_host.trust.totp import STEP_SECONDS, code_at
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app

EMAIL = "root@example.com"
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
async def root(app: Litestar, opened: Database, two_tenants: TwoTenants) -> UUID:
    """A platform administrator with a password."""
    stopped(app)
    return await put_user(opened, EMAIL, PASSWORD, platform_admin=True)


async def post(http: httpx.AsyncClient, path: str, body: dict[str, Any], headers: Any = None) -> httpx.Response:
    """Post to the API; the client forgets cookies."""
    answer = await http.post(f"/api/v1{path}", json=body, headers=headers)
    http.cookies.clear()
    return answer


async def log_in(http: httpx.AsyncClient, code: str | None = None, password: str = PASSWORD) -> httpx.Response:
    """Log in, with a code or without."""
    return await post(http, "/login", {"email": EMAIL, "password": password, **({"code": code} if code else {})})


async def session(http: httpx.AsyncClient, code: str | None = None) -> dict[str, str]:
    """Return the header of a fresh session."""
    return {"Authorization": f"Bearer {(await log_in(http, code)).json()['token']}"}


def code_of(secret: str, offset: int = 0) -> str:
    """Return the code a device shows now, or some steps away."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return code_at(key, int(NOW // STEP_SECONDS) + offset)


def stopped(app: Litestar) -> Litestar:
    """Return an application whose clock for codes stands, so that no step ends in the middle of a test."""
    app.dependencies["parts"].dependency().factors._clock = lambda: NOW  # type: ignore[union-attr]
    return app


async def enrol(http: httpx.AsyncClient, headers: dict[str, str]) -> tuple[str, list[str]]:
    """Enrol a device by the code of the step before; return its secret and the recovery codes."""
    begun = await post(http, "/me/totp", {"password": PASSWORD}, headers)
    assert begun.status_code == 201, begun.text
    secret = begun.json()["secret"]
    confirmed = await post(http, "/me/totp/confirm", {"code": code_of(secret, -1)}, headers)
    assert confirmed.status_code == 200, confirmed.text
    return secret, confirmed.json()["codes"]


@pytest.mark.promise("codes-once")
async def test_a_device_is_enrolled_and_asked_for(http: httpx.AsyncClient) -> None:
    """Begun with the password and confirmed by a code, the device is asked for at the next login; a code works once."""
    here = await session(http)
    assert (await post(http, "/me/totp", {"password": "not it"}, here)).status_code == 401
    begun = (await post(http, "/me/totp", {"password": PASSWORD}, here)).json()
    assert begun["uri"].startswith("otpauth://totp/AI%20Ops:root@example.com?")
    assert begun["svg"].startswith("<svg")
    assert (await log_in(http)).status_code == 200  # nothing counts before it is confirmed
    wrong = await post(http, "/me/totp/confirm", {"code": code_of(begun["secret"], 5)}, here)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "code-refused")
    done = await post(http, "/me/totp/confirm", {"code": code_of(begun["secret"], -1)}, here)
    assert len(done.json()["codes"]) == 10
    needed = await log_in(http)
    assert (needed.status_code, needed.json()["code"]) == (401, "code-needed")
    code = code_of(begun["secret"])
    assert (await log_in(http, code)).status_code == 200
    again = await log_in(http, code)
    assert (again.status_code, again.json()["code"]) == (401, "code-refused")
    earlier = await log_in(http, code_of(begun["secret"], -1))
    assert earlier.status_code == 401
    state = (await http.get("/api/v1/me/totp", headers=here)).json()
    assert (state["enrolled"], state["recovery_codes"]) == (True, 10)


@pytest.mark.promise("codes-once")
@pytest.mark.attack(28)
async def test_one_code_opens_one_session_however_many_try_at_once(http: httpx.AsyncClient) -> None:
    """Of several logins with the same code at the same moment, one gets in."""
    import asyncio  # noqa: PLC0415 - for this test only

    secret, _ = await enrol(http, await session(http))
    code = code_of(secret)
    answers = await asyncio.gather(*[log_in(http, code) for _ in range(4)])
    assert sorted(a.status_code for a in answers) == [200, 401, 401, 401]


async def test_a_wrong_password_never_asks_for_a_code(http: httpx.AsyncClient) -> None:
    """Whoever does not know the password does not learn that there is a second factor."""
    await enrol(http, await session(http))
    for code in (None, "123456"):
        refused = await log_in(http, code, "not it")
        assert (refused.status_code, refused.json()["code"]) == (401, "login-refused")


async def test_guessed_codes_lock_the_person(http: httpx.AsyncClient, opened: Database) -> None:
    """Five wrong codes lock as five wrong passwords do, the right one is refused then, and all of it is in the trail."""
    secret, _ = await enrol(http, await session(http))
    for _ in range(5):
        await log_in(http, code_of(secret, 7))
    locked = await log_in(http, code_of(secret))
    assert (locked.status_code, locked.json()["code"]) == (401, "login-refused")
    assert await refused_logins(http, opened) == [(EMAIL, "password", "code", 5), (EMAIL, "password", "locked", 1)]


async def test_a_recovery_code_opens_once(http: httpx.AsyncClient) -> None:
    """However it is written, a recovery code logs in, and never again; new ones replace all before."""
    secret, codes = await enrol(http, await session(http))
    here = await session(http, codes[0].lower().replace("-", " "))
    assert (await log_in(http, codes[0])).status_code == 401
    assert (await http.get("/api/v1/me/totp", headers=here)).json()["recovery_codes"] == 9
    body = {"password": PASSWORD, "code": code_of(secret)}
    renewed = (await post(http, "/me/totp/recovery-codes", body, here)).json()["codes"]
    assert (await log_in(http, codes[1])).status_code == 401
    assert (await log_in(http, renewed[1])).status_code == 200


async def test_a_second_factor_is_removed_by_who_has_both(http: httpx.AsyncClient, root: UUID) -> None:
    """With password and code its owner removes it; a lost device is removed by an administrator."""
    here = await session(http)
    secret, codes = await enrol(http, here)
    again = await post(http, "/me/totp", {"password": PASSWORD}, here)
    assert (again.status_code, again.json()["code"]) == (409, "factor-refused")
    for body in ({"password": "not it", "code": code_of(secret)}, {"password": PASSWORD, "code": "000000"}):
        assert (await post(http, "/me/totp/remove", body, here)).status_code == 401
    removed = await post(http, "/me/totp/remove", {"password": PASSWORD, "code": codes[0]}, here)
    assert removed.status_code == 204
    assert (await log_in(http)).status_code == 200
    missing = await post(http, "/me/totp/confirm", {"code": "123456"}, here)
    assert (missing.status_code, missing.json()["code"]) == (409, "factor-missing")
    await enrol(http, here)
    assert (await post(http, f"/people/{root}/totp/remove", {}, here)).status_code == 204
    assert (await log_in(http)).status_code == 200
    assert (await post(http, f"/people/{root}/totp/remove", {}, here)).status_code == 409


async def test_a_second_factor_can_be_required(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, staff: Staff
) -> None:
    """Where the setting asks for it, a platform administrator without one may only enrol; others are not asked."""
    strict = msgspec.structs.replace(settings, require_totp=True)
    transport = httpx.ASGITransport(app=stopped(create_app(strict, plugins, opened, vault, bell)))
    async with httpx.AsyncClient(transport=transport, base_url="https://aiops.example") as http:
        here = await session(http)
        refused = await http.get("/api/v1/tenants", headers=here)
        assert (refused.status_code, refused.json()["code"]) == (403, "second-factor-needed")
        assert (await http.get("/api/v1/deliveries?tenant=tenant-a", headers=here)).status_code == 403
        assert (await http.get("/api/v1/me", headers=here)).json()["must_enrol"] is True
        assert (await http.get("/api/v1/deliveries", headers=staff.admin_a)).status_code == 200
        secret, _ = await enrol(http, here)
        assert (await http.get("/api/v1/tenants", headers=here)).status_code == 200
        assert (await http.get("/api/v1/me", headers=here)).json()["must_enrol"] is False
        assert (await log_in(http, code_of(secret))).status_code == 200


async def test_secrets_are_sealed_and_codes_hashed(
    http: httpx.AsyncClient, root: UUID, database: DatabaseUrls, opened: Database
) -> None:
    """The database holds neither; a seal moved to another person opens nothing."""
    here = await session(http)
    secret, codes = await enrol(http, here)
    plain = base64.b32decode(secret)
    other = await put_user(opened, "other@example.com", PASSWORD)
    con = await asyncpg.connect(database.superuser)
    dump = str(await con.fetch("select * from second_factor")) + str(await con.fetch("select * from recovery_code"))
    sealed = await con.fetchval("select sealed from second_factor")
    await con.close()
    assert plain not in sealed
    assert plain.hex().encode() not in sealed
    assert [c for c in (*codes, secret, plain.hex()) if c in dump] == []
    await execute_as_superuser(
        database.superuser,
        f"insert into second_factor (user_id, sealed, version, confirmed_at) "  # noqa: S608 - ids of this test
        f"select '{other}', sealed, version, now() from second_factor",
    )
    moved = await post(http, "/login", {"email": "other@example.com", "password": PASSWORD, "code": code_of(secret)})
    assert (moved.status_code, moved.json()["code"]) == (401, "code-refused")
