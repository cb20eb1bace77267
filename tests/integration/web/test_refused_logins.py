"""Logins in the audit trail: those that were let in, and those that were refused."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from tests.integration.cli.test_commands import stored_bytes
from tests.integration.web.conftest import PASSWORD, Bell, bearer, refused_logins
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_core import PluginManager
from aiops_host.data import audit
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.accounts import put_user
from aiops_host.trust.refused_logins import MOST_KINDS, WINDOW_SECONDS, RefusedLogins
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app

EMAIL = "person@a.example"
TYPED = "canary-typed-in-the-wrong-field"


@pytest.fixture(autouse=True)
async def person(two_tenants: TwoTenants, opened: Database) -> None:
    """A technician of tenant a."""
    await put_user(opened, EMAIL, PASSWORD, roles={two_tenants.a.tenant_id: "technician"})


@pytest.fixture
def settings() -> Settings:
    """Settings that believe whoever calls, and let an address fail seven times."""
    return Settings(base_url="https://aiops.example", login_failures=7, trusted_proxies="127.0.0.1")


async def log_in(
    http: httpx.AsyncClient, password: str = PASSWORD, email: str = EMAIL, came: str = "203.0.113.9"
) -> int:
    """Log in from an address; return the status."""
    headers = {"X-Forwarded-For": came}
    answer = await http.post("/api/v1/login", json={"email": email, "password": password}, headers=headers)
    http.cookies.clear()
    return answer.status_code


class Clock:
    """A clock the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time that is set."""
        return self.now


async def entries(opened: Database, act: str = "login.refuse") -> list[dict[str, str]]:
    """Return person and details of the entries of a kind, the oldest first."""
    page = await audit.list_(opened, PLATFORM, AuditFilters(act=act), limit=200)
    return [{"for": entry.subject, **entry.details} for entry in reversed(page.items)]


@pytest.mark.promise("logins-in-the-trail")
async def test_each_kind_of_refusal_is_in_the_trail(
    http: httpx.AsyncClient, opened: Database, database: DatabaseUrls
) -> None:
    """With the person as they are known here, where it came from, why, and how often; of what was typed nothing is kept."""
    for _ in range(2):
        assert await log_in(http, TYPED, EMAIL.upper()) == 401
    assert await log_in(http, PASSWORD, f"{TYPED}@a.example") == 401
    await execute_as_superuser(database.superuser, "update app_user set locked_until = now() + interval '1 hour'")
    assert await log_in(http) == 401
    await execute_as_superuser(database.superuser, "update app_user set locked_until = null, active = false")
    assert await log_in(http) == 401
    for _ in range(2):
        await log_in(http, TYPED)
    assert await log_in(http) == 429

    assert await refused_logins(http, opened) == [
        (EMAIL, "password", "password", 2),
        ("", "password", "unknown", 1),
        (EMAIL, "password", "locked", 1),
        (EMAIL, "password", "deactivated", 3),
        ("", "password", "address", 1),
    ]
    assert {entry["address"] for entry in await entries(opened)} == {"203.0.113.9"}
    assert TYPED.encode() not in stored_bytes(database)


async def test_a_wrong_password_at_an_open_screen_counts_too(http: httpx.AsyncClient, opened: Database) -> None:
    """Who is logged in and does not know the password is a refused login like another."""
    here = await bearer(http, EMAIL)
    await http.post("/api/v1/me/password", headers=here, json={"current": TYPED, "new": "a fresh horse battery"})
    assert await refused_logins(http, opened) == [(EMAIL, "password", "password", 1)]


async def test_a_login_is_in_the_trail(http: httpx.AsyncClient, opened: Database) -> None:
    """Under the person, with the way and the address they came by."""
    assert await log_in(http) == 200
    (entry,) = (await audit.list_(opened, PLATFORM, AuditFilters(act="login.accept"), limit=5)).items
    assert (entry.actor_kind, entry.actor, entry.subject) == ("person", EMAIL, EMAIL)
    assert (entry.details["way"], entry.details["address"]) == ("password", "203.0.113.9")
    assert await refused_logins(http, opened) == []


@pytest.mark.promise("logins-in-the-trail", figure="10,000 refusals in a minute, at most 42 entries")
async def test_a_flood_is_a_few_entries(opened: Database) -> None:
    """Whatever addresses and people a flood comes with, its entries are bounded, and their counts are those of all."""
    clock = Clock()
    refused = RefusedLogins(clock)
    for number in range(5000):
        refused.note("password", "unknown", f"203.0.{number // 250}.{number % 250}")
        refused.note("password", "password", "203.0.113.9", f"person-{number}@a.example")
        if number % 500 == 0:
            await refused.flush(opened)
    clock.now += WINDOW_SECONDS
    await refused.flush(opened)

    found = await entries(opened)
    assert len(found) <= 2 * (2 * MOST_KINDS + 1)
    assert sum(int(entry["times"]) for entry in found) == 10_000
    assert (await audit.check(opened, PLATFORM)).broken is None


async def test_like_refusals_are_two_entries_a_minute(opened: Database) -> None:
    """The first is written at once, those after it when the minute is over; then it begins anew. A /64 is one sender."""
    clock = Clock()
    refused = RefusedLogins(clock)
    for number in range(3):
        refused.note("password", "unknown", f"2001:db8::{number}")
        await refused.flush(opened)
    assert [entry["times"] for entry in await entries(opened)] == ["1"]
    clock.now += WINDOW_SECONDS
    await refused.flush(opened)
    refused.note("password", "unknown", "2001:db8::7")
    await refused.flush(opened)
    assert [(entry["times"], entry["address"]) for entry in await entries(opened)] == [
        (times, "2001:db8::/64") for times in ("1", "2", "1")
    ]


async def test_refusals_wait_for_the_database(opened: Database) -> None:
    """What could not be written is written later, once."""
    refused = RefusedLogins()
    refused.note("password", "unknown", "203.0.113.9")
    async with opened.tenant(uuid4()):
        with pytest.raises(Exception, match="another tenant"):
            await refused.flush(opened)
    for _ in range(2):
        await refused.flush(opened)
    assert [entry["times"] for entry in await entries(opened)] == ["1"]


async def test_a_host_writes_while_it_runs_and_at_its_end(
    settings: Settings, plugins: PluginManager, database: DatabaseUrls, opened: Database, vault: Vault, bell: Bell
) -> None:
    """Nobody has to ask for it, and a host that stops keeps nothing to itself."""
    own = await Database.open({"app": database.app, "intake": database.intake}, {"app": 4, "intake": 2})
    app: Litestar = create_app(settings, plugins, own, vault, bell)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://x") as http:
        assert await log_in(http, TYPED) == 401
    assert [entry["why"] for entry in await entries(opened)] == ["password"]
