"""The host's application in process, with one connection in each of two tenants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from tests.support.databases import TenantRow, TwoTenants
from tests.support.keys import make_vault
from tests.support.postbox import postbox_plugins, sign

from aiops_core import PluginManager
from aiops_host.data import audit, people
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.people import TenantRole
from aiops_host.data.session import Database
from aiops_host.data.wakeup import DueIds
from aiops_host.settings import Settings
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.sessions import token_hash
from aiops_host.trust.vault import Vault
from aiops_host.web.app import API_ROUTES, DOORS, PUBLIC_ROUTES, create_app

PASSWORD = "correct horse battery"


@dataclass
class Bell:
    """Hears every wake-up; one that is broken raises, one that hangs never answers."""

    heard: list[DueIds] = field(default_factory=list)
    broken: bool = False
    hangs: bool = False

    async def wake(self, due: Sequence[DueIds]) -> None:
        """Note the wake-ups."""
        if self.broken:
            raise ConnectionError("the bell is broken")
        if self.hangs:
            await asyncio.Event().wait()
        self.heard.extend(due)

    async def ping(self) -> bool:
        """Answer unless it hangs."""
        if self.hangs:
            await asyncio.Event().wait()
        return not self.broken

    async def aclose(self) -> None:
        """Hold nothing."""


Heard = Callable[[], Awaitable[list[DueIds]]]
"""Waits until no wake-up travels any more and returns all that were heard."""


@dataclass(frozen=True)
class Door:
    """A tenant's connection, and how its sender posts."""

    tenant: TenantRow
    connection: CreatedConnection
    http: httpx.AsyncClient

    @property
    def path(self) -> str:
        """The webhook's path."""
        return f"/webhooks/postbox/{self.connection.endpoint_id}"

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        """Send a signed webhook."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            self.path, content=body, headers={**sign(self.connection.webhook_secret, body), **named}
        )


@pytest.fixture
def settings() -> Settings:
    """Settings without a server of their own."""
    return Settings(base_url="https://aiops.example")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a key of its own."""
    return make_vault(tmp_path)


@pytest.fixture
def plugins() -> PluginManager:
    """The postbox only."""
    return postbox_plugins()


@pytest.fixture
def bell() -> Bell:
    """What hears wake-ups."""
    return Bell()


@pytest.fixture(scope="session")
def signatures() -> None:
    """What the routes' functions take, read once: an application copies it with the route, or reads it for 30 ms."""
    for route in (*API_ROUTES, *DOORS, *PUBLIC_ROUTES):
        assert route.parsed_fn_signature


@pytest.fixture
def app(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, signatures: None
) -> Litestar:
    """The host's application over the test's database."""
    return create_app(settings, plugins, opened, vault, bell)


@pytest.fixture
def heard(app: Litestar, bell: Bell) -> Heard:
    """What the application announced, once those that gather behind an earlier one have gone too."""

    async def everything() -> list[DueIds]:
        await app.dependencies["parts"].dependency().wakes.close()
        return bell.heard

    return everything


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends no cookie it was not told to send."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://aiops.example") as client:
        yield client


@pytest.fixture
async def doors(
    two_tenants: TwoTenants, opened: Database, vault: Vault, plugins: PluginManager, http: httpx.AsyncClient
) -> tuple[Door, Door]:
    """A connection in each of the two tenants."""
    made = []
    for tenant in two_tenants:
        new = NewConnection(name="front door", ticketing_tool="postbox", config={"api_token": "t0ken"})
        connection = await create_connection(opened, vault, plugins.registry, tenant.tenant_id, new)
        made.append(Door(tenant, connection, http))
    return made[0], made[1]


@pytest.fixture
def door(doors: tuple[Door, Door]) -> Door:
    """The connection of tenant a."""
    return doors[0]


@dataclass(frozen=True)
class Staff:
    """Bearer headers of people, by what they are."""

    admin_a: dict[str, str]
    technician_a: dict[str, str]
    reader_a: dict[str, str]
    admin_b: dict[str, str]
    platform: dict[str, str]


@pytest.fixture
async def staff(two_tenants: TwoTenants, opened: Database) -> Staff:
    """One person per role with an open session; nobody of them has a password, because hashing takes long."""
    a, b = two_tenants.a.tenant_id, two_tenants.b.tenant_id
    roles: list[dict[UUID, TenantRole]] = [
        {a: "tenant-admin"},
        {a: "technician"},
        {a: "read-only"},
        {b: "tenant-admin"},
        {},
    ]
    return Staff(*[await _with_session(opened, n, held) for n, held in enumerate(roles)])


async def _with_session(opened: Database, number: int, roles: dict[UUID, TenantRole]) -> dict[str, str]:
    email = f"person-{number}@example.com"
    user_id = await people.put_user(opened, email, "no password", platform_admin=not roles, roles=roles)
    async with opened.role("app") as con:
        await people.open_session(con, token_hash(email), user_id, timedelta(hours=1))
    return {"Authorization": f"Bearer {email}"}


async def refused_logins(http: httpx.AsyncClient, opened: Database) -> list[tuple[str, str, str, int]]:
    """Have the host of a client write what it refused; return person, way, reason and how often, in their order."""
    app = cast("Any", http)._transport.app
    await app.dependencies["parts"].dependency().sessions.refused.flush(opened, everything=True)
    page = await audit.list_(opened, PLATFORM, AuditFilters(act="login.refuse"), limit=200)
    assert (await audit.check(opened, PLATFORM)).broken is None
    assert {(entry.actor_kind, entry.actor) for entry in page.items} <= {("stranger", "")}
    facts = [(entry.subject, entry.details) for entry in reversed(page.items)]
    return [(subject, said["way"], said["why"], int(said["times"])) for subject, said in facts]


async def bearer(http: httpx.AsyncClient, email: str) -> dict[str, str]:
    """Log in and return the header to send."""
    answer = await http.post("/api/v1/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    http.cookies.clear()
    return {"Authorization": f"Bearer {answer.json()['token']}"}
