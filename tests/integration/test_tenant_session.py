"""The tenant session on a real PostgreSQL."""

import contextlib
from uuid import UUID

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_core.errors import AiopsError
from aiops_host.data.engine import UnscopedQuery
from aiops_host.data.session import UNREACHABLE, Database, DatabaseBusy, DatabaseDown, TenantMismatch
from aiops_host.data.tables import Tenant

POOL = 4


async def kill_backend(database: DatabaseUrls, pid: int) -> None:
    """End one connection's server process."""
    await execute_as_superuser(database.superuser, f"select pg_terminate_backend({pid})")


async def usable(opened: Database, name: str) -> int:
    """Return how many connections of a pool can be held at a time."""
    async with contextlib.AsyncExitStack() as stack:
        for held in range(POOL + 1):
            try:
                con = await stack.enter_async_context(opened.role(name))
            except DatabaseBusy:
                return held
            assert await con.fetchval("select 1") == 1
    return POOL + 1


async def test_a_tenant_sees_only_its_own_row(opened: Database, two_tenants: TwoTenants) -> None:
    """In the session of one tenant the other tenant's rows do not exist."""
    for tenant in two_tenants:
        async with opened.tenant(tenant.tenant_id) as con:
            assert [r["slug"] for r in await con.fetch("select slug from tenant")] == [tenant.slug]


@pytest.mark.attack(7)
async def test_without_a_tenant_a_query_raises(opened: Database, two_tenants: TwoTenants) -> None:
    """Neither plain SQL nor Piccolo can ask a tenant's table outside a session: both raise, and none reads zero rows."""
    async with opened.tenant(two_tenants.a.tenant_id):
        assert [t.slug for t in await Tenant.objects()] == ["tenant-a"]
    with pytest.raises(UnscopedQuery):
        await Tenant.objects()
    async with opened.role("app") as con:
        for _ in range(2):
            with pytest.raises(asyncpg.PostgresError):
                await con.fetch("select slug from tenant")


async def test_a_session_inside_another_tenants_is_refused(opened: Database, two_tenants: TwoTenants) -> None:
    """A nested session joins the outer one of its own tenant; of another tenant it raises and the outer one goes on."""
    a, b = two_tenants.a.tenant_id, two_tenants.b.tenant_id
    async with opened.tenant(a) as outer:
        async with opened.tenant(a) as inner:
            assert inner is outer
        with pytest.raises(TenantMismatch):
            async with opened.tenant(b):
                pass
        assert await outer.fetchval("select slug from tenant") == "tenant-a"


async def test_a_block_that_raises_leaves_nothing(opened: Database, two_tenants: TwoTenants) -> None:
    """What was written before an error is rolled back, and the error is the block's own."""
    a = two_tenants.a.tenant_id

    async def fail() -> None:
        async with opened.tenant(a) as con:
            await con.execute("update tenant set name = 'changed'")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with opened.tenant(a) as con:
        assert await con.fetchval("select name from tenant") == "Tenant-A"


@pytest.mark.parametrize("name", ["app", "intake"])
async def test_a_connection_lost_in_a_block_leaves_the_pool_whole(
    opened: Database, database: DatabaseUrls, name: str
) -> None:
    """When the server process ends under a block, the block's end is quiet and every connection of the pool is usable."""
    for _ in range(POOL + 1):
        async with opened.role(name) as con:
            await kill_backend(database, await con.fetchval("select pg_backend_pid()"))
            with contextlib.suppress(*UNREACHABLE):
                await con.fetchval("select 1")
    assert await usable(opened, name) == POOL


async def test_a_lost_session_says_that_postgresql_is_away(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """A session whose server process ends raises one error of ours, stores nothing, and leaves the pool whole."""
    a = two_tenants.a.tenant_id

    async def lose() -> None:
        async with opened.tenant(a) as con:
            await con.execute("update tenant set name = 'changed'")
            await kill_backend(database, await con.fetchval("select pg_backend_pid()"))
            await con.fetchval("select 1")

    for _ in range(POOL + 1):
        with pytest.raises(DatabaseDown):
            await lose()
    assert await usable(opened, "app") == POOL
    async with opened.tenant(a) as con:
        assert await con.fetchval("select name from tenant") == "Tenant-A"


async def test_a_failed_commit_leaves_the_pool_whole(opened: Database, two_tenants: TwoTenants) -> None:
    """A commit that a deferred constraint refuses raises, and the connection goes back clean."""
    a = two_tenants.a.tenant_id
    for _ in range(POOL + 1):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with opened.tenant(a) as con:
                await con.execute(
                    "create temporary table parent (id int primary key) on commit drop; "
                    "create temporary table child (id int references parent deferrable initially deferred) "
                    "on commit drop; insert into child values (1)"
                )
    assert await usable(opened, "app") == POOL


@pytest.mark.attack(2)
async def test_a_role_or_setting_left_behind_is_gone_for_the_next(opened: Database, two_tenants: TwoTenants) -> None:
    """A tenant set for a whole connection does not reach whoever borrows it next."""
    for _ in range(POOL + 1):
        async with opened.role("app") as con:
            await con.execute(f"set app.current_tenant_id = '{two_tenants.a.tenant_id}'")
    for _ in range(POOL + 1):
        async with opened.role("app") as con:
            left = await con.fetchval("select current_setting('app.current_tenant_id', true)")
            assert not left


async def test_errors_of_the_session_are_ours(opened: Database) -> None:
    """A tenant that does not exist has an empty session, and its own errors are AI Ops errors."""
    assert all(issubclass(error, AiopsError) for error in (DatabaseBusy, DatabaseDown, TenantMismatch))
    async with opened.tenant(UUID(int=0)) as con:
        assert await con.fetch("select * from tenant") == []
