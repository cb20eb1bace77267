"""A migrated database of its own for each test, copied from one template, and tenants to put into it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest

from aiops_host.data.migrate import LOGIN_ROLES, migrate
from aiops_host.data.session import Database
from aiops_host.embedded import EmbeddedPostgres

TEMPLATE = "aiops_template"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """One database, as each role reaches it; ``superuser`` is for what no part of the product may do."""

    name: str
    app: str
    intake: str
    sweeper: str
    superuser: str


class TenantRow(NamedTuple):
    """A tenant in the test's database."""

    tenant_id: UUID
    slug: str


class TwoTenants(NamedTuple):
    """Two tenants that must never see each other's rows."""

    a: TenantRow
    b: TenantRow


def run_apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in a thread, whatever event loop the test has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def execute_as_superuser(url: str, *statements: str) -> None:
    """Execute statements one by one, each in a transaction of its own."""
    con = await asyncpg.connect(url)
    try:
        for statement in statements:
            await con.execute(statement)
    finally:
        await con.close()


async def _exists(url: str, name: str) -> bool:
    con = await asyncpg.connect(url)
    try:
        return bool(await con.fetchval("select exists(select 1 from pg_database where datname = $1)", name))
    finally:
        await con.close()


def urls_of(pg: EmbeddedPostgres, name: str) -> DatabaseUrls:
    """Return the addresses of the database ``name``."""
    roles = [pg.url(role, pg.password(role), name) for role in LOGIN_ROLES]
    return DatabaseUrls(name, *roles, superuser=pg.url("aiops_superuser", pg.password("aiops_superuser"), name))


@pytest.fixture(scope="session")
def template(pg: EmbeddedPostgres) -> str:
    """Name of a migrated database nobody is connected to."""
    urls = urls_of(pg, TEMPLATE)
    if run_apart(_exists(pg.superuser_url, TEMPLATE)):
        return TEMPLATE  # several conftest files bring this fixture, the server is one
    run_apart(execute_as_superuser(pg.superuser_url, f"create database {TEMPLATE}"))
    run_apart(migrate(urls.superuser, [urls.app, urls.intake, urls.sweeper]))
    return TEMPLATE


@pytest.fixture
def database(pg: EmbeddedPostgres, template: str) -> Iterator[DatabaseUrls]:
    """A fresh migrated database, gone after the test."""
    name = f"t_{uuid4().hex[:16]}"
    run_apart(execute_as_superuser(pg.superuser_url, f"create database {name} template {template} strategy file_copy"))
    yield urls_of(pg, name)
    run_apart(execute_as_superuser(pg.superuser_url, f"drop database {name} with (force)"))


@pytest.fixture
async def opened(database: DatabaseUrls) -> AsyncIterator[Database]:
    """The test's database through the pools of all three roles, four connections each."""
    urls = {"app": database.app, "intake": database.intake, "sweeper": database.sweeper}
    pools = await Database.open(urls, dict.fromkeys(urls, 4))
    yield pools
    await pools.close()


@pytest.fixture
async def two_tenants(opened: Database) -> TwoTenants:
    """Tenants ``a`` and ``b`` without connections."""
    rows = []
    for slug in ("tenant-a", "tenant-b"):
        row = TenantRow(uuid4(), slug)
        async with opened.tenant(row.tenant_id) as con:
            await con.execute(
                "insert into tenant (tenant_id, slug, name) values ($1, $2, $3)", row.tenant_id, slug, slug.title()
            )
        rows.append(row)
    return TwoTenants(*rows)


@contextlib.asynccontextmanager
async def savepoint(con: Any) -> AsyncIterator[None]:
    """Undo what fails inside and keep the session; asyncpg refuses its own nested transaction in one opened by hand."""
    await con.execute("savepoint inner_part")
    try:
        yield
    except BaseException:
        await con.execute("rollback to savepoint inner_part")
        raise
    await con.execute("release savepoint inner_part")
