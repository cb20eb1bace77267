"""The tenant session on a real PostgreSQL."""

import asyncio
import contextlib
import time
from types import SimpleNamespace
from uuid import UUID

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_core.errors import AiopsError
from aiops_host.data import session
from aiops_host.data.engine import ENGINE, UnscopedQuery
from aiops_host.data.session import (
    UNREACHABLE,
    Database,
    DatabaseBusy,
    DatabaseDown,
    RoleRefused,
    TenantMismatch,
    current_session,
)
from aiops_host.data.tables import Tenant
from aiops_host.embedded import EmbeddedPostgres

POOL = 4
LOCKS = (
    "select count(*) from pg_locks where locktype = 'advisory' "
    "and database = (select oid from pg_database where datname = current_database())"
)


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


async def test_a_task_that_outlives_its_session_has_none(opened: Database, two_tenants: TwoTenants) -> None:
    """What was begun inside a session opens one of its own when that has ended, of whatever tenant."""
    a, b = two_tenants
    ended = asyncio.Event()

    async def later() -> str:
        await ended.wait()
        async with opened.tenant(b.tenant_id) as con:
            slug: str = await con.fetchval("select slug from tenant")
        return slug

    async with opened.tenant(a.tenant_id):
        task = asyncio.create_task(later())
    ended.set()
    assert await task == b.slug


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


@pytest.mark.attack(7)
async def test_piccolo_goes_around_no_session(opened: Database, two_tenants: TwoTenants) -> None:
    """A transaction or a batch of its own, or a query without a session, is refused, and the refusal says what to do."""
    await ENGINE.check_version()
    await ENGINE.prep_database()
    with pytest.raises(UnscopedQuery, match="it is the transaction"):
        ENGINE.transaction()
    with pytest.raises(UnscopedQuery, match="page through the rows"):
        await ENGINE.batch(Tenant.objects())
    for way in (ENGINE._run_in_new_connection, ENGINE._run_in_pool):
        with pytest.raises(UnscopedQuery):
            await way("select 1")
    assert current_session() is None
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        current = current_session()
        assert current is not None
        assert (current.connection, current.tenant_id) == (con, two_tenants.a.tenant_id)
    assert current_session() is None


async def test_the_task_has_no_tenant_once_a_block_raised(opened: Database, two_tenants: TwoTenants) -> None:
    """After an error inside the block another tenant's session can be opened, and Piccolo is refused."""
    for tenant in two_tenants:
        with pytest.raises(LookupError):
            async with opened.tenant(tenant.tenant_id):
                raise LookupError
        assert current_session() is None


@pytest.mark.attack(1)
async def test_nothing_of_a_session_is_left_on_its_connection(opened: Database, two_tenants: TwoTenants) -> None:
    """Whether the block ended well or not, the next to borrow the connection finds no transaction, setting or tenant."""
    a = two_tenants.a.tenant_id
    for failed in (False, True):
        for _ in range(POOL + 1):
            with contextlib.suppress(LookupError):
                async with opened.tenant(a) as con:
                    await con.execute("set statement_timeout = 54321; select pg_advisory_lock(11)")
                    if failed:
                        raise LookupError
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(POOL):
                con = await stack.enter_async_context(opened.role("app"))
                assert not con.is_in_transaction()
                assert await con.fetchval("show statement_timeout") == "0"
                assert not await con.fetchval("select current_setting('app.current_tenant_id', true)")
                assert await con.fetchval(LOCKS) == 0


@pytest.mark.attack(2)
async def test_what_a_reset_connection_is_given_afterwards_is_reset_again(
    opened: Database, two_tenants: TwoTenants
) -> None:
    """A connection that a tenant's session left clean is cleaned again after whoever borrows it next."""
    for _ in range(2):
        async with opened.tenant(two_tenants.a.tenant_id):
            pass
        async with opened.role("app") as con:
            assert await con.fetchval("show statement_timeout") == "0"
            await con.execute("set statement_timeout = 54321")
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await con.fetchval("show statement_timeout") == "0"


async def test_a_session_takes_two_round_trips_of_its_own(
    opened: Database, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beginning and ending cost one each: the end also resets what the pool would reset in a third."""
    asked: list[str] = []
    whole = session._Connection.execute

    async def execute(self: asyncpg.Connection, query: str, *args: object, **kwargs: object) -> object:
        asked.append(query)
        return await whole(self, query, *args, **kwargs)

    monkeypatch.setattr(session._Connection, "execute", execute)
    async with opened.tenant(two_tenants.a.tenant_id):
        pass
    assert [query.partition(";")[0] for query in asked] == ["begin", "commit"]


async def test_a_transaction_left_open_does_not_come_back(opened: Database) -> None:
    """A connection given back inside a transaction is closed, and the next one finds neither it nor what it locked."""
    for _ in range(POOL + 1):
        async with opened.role("app") as con:
            assert not con.is_in_transaction()
            await con.execute("begin; select pg_advisory_xact_lock(12)", timeout=15)


async def test_a_connection_that_died_idle_is_replaced(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that idled are asked first, so that a restart of PostgreSQL between two sessions is not noticed."""
    monkeypatch.setattr(session, "IDLE_CHECK_SECONDS", 0.05)
    assert await usable(opened, "app") == POOL
    await execute_as_superuser(
        database.superuser,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'aiops-app'",
    )
    await asyncio.sleep(0.1)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await con.fetchval("select slug from tenant") == "tenant-a"
    assert await usable(opened, "app") == POOL


async def test_only_connections_that_idled_are_asked(
    opened: Database, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was used within the second is lent at once; a second after its last use it is asked."""
    asked: list[str] = []
    whole = session._Connection.execute

    async def execute(self: asyncpg.Connection, query: str, *args: object, **kwargs: object) -> object:
        asked.append(query)
        return await whole(self, query, *args, **kwargs)

    monkeypatch.setattr(session._Connection, "execute", execute)
    now = time.monotonic() + 1000
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: now))
    for later, expected in ((1000.0, True), (0.5, False), (0.999, False), (1.0, True)):
        now += later
        asked.clear()
        async with opened.role("intake"):
            pass
        assert ("select 1" in asked) is expected, later


async def test_whoever_waits_too_long_is_told(database: DatabaseUrls, two_tenants: TwoTenants) -> None:
    """A session waits for a connection as long as was said and no longer; how many are in use is known."""
    opened = await Database.open(
        {"app": database.app, "intake": database.intake}, {"app": 1, "intake": 3}, patience=0.2
    )
    try:
        assert opened.usage() == (0, 4)
        async with opened.tenant(two_tenants.a.tenant_id):
            assert opened.usage() == (1, 4)
            started = time.monotonic()
            with pytest.raises(DatabaseBusy):
                async with opened.role("app"):
                    pass
            assert 0.15 < time.monotonic() - started < 1.9
        assert opened.usage() == (0, 4)
    finally:
        await opened.close()


async def test_json_and_names_are_those_of_the_product(opened: Database, two_tenants: TwoTenants) -> None:
    """JSON is read and written as Python's values, each connection says which part of the product it is of, unhurried."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await con.fetchval("select $1::jsonb", {"a": [1, None, "ü"]}) == {"a": [1, None, "ü"]}
        assert await con.fetchval("select $1::jsonb ->> 'a'", {"a": "b"}) == "b"
        assert await con.fetchval("show application_name") == "aiops-app"
        assert await con.fetchval("show jit") == "off"
    async with opened.role("intake") as con:
        assert await con.fetchval("show application_name") == "aiops-intake"


@pytest.mark.attack(3)
@pytest.mark.parametrize(
    ("rights", "why"),
    [
        ("superuser", "is a superuser or bypasses row-level security"),
        ("bypassrls", "is a superuser or bypasses row-level security"),
        ("in role aiops_owner", "owns tables"),
        ("in role mighty", "is a superuser or bypasses row-level security"),
        ("in role unwalled", "is a superuser or bypasses row-level security"),
        ("owner of a view", "owns tables"),
        ("owner of a materialized view", "owns tables"),
        ("owner of a partitioned table", "owns tables"),
    ],
)
async def test_a_role_with_too_much_right_is_refused(
    pg: EmbeddedPostgres, database: DatabaseUrls, rights: str, why: str
) -> None:
    """A role that could read past the walls, itself or through another, is refused by name, and no pool stays open."""
    made = {
        "owner of a view": "create view odd as select 1 as n",
        "owner of a materialized view": "create materialized view odd as select 1 as n",
        "owner of a partitioned table": "create table odd (n int) partition by list (n)",
    }.get(rights)
    name = f"r_{database.name}"
    await execute_as_superuser(
        database.superuser,
        f"create role {name} login password 'p' {'' if made else rights}"
        if rights not in ("in role mighty", "in role unwalled")
        else f"create role {name} login password 'p'",
    )
    try:
        if rights == "in role mighty":
            await execute_as_superuser(
                database.superuser, f"create role {name}_m superuser", f"grant {name}_m to {name}"
            )
        if rights == "in role unwalled":
            await execute_as_superuser(
                database.superuser, f"create role {name}_m bypassrls", f"grant {name}_m to {name}"
            )
        if made:
            kind = made.removeprefix("create ").partition(" odd")[0]
            await execute_as_superuser(database.superuser, made, f"alter {kind} odd owner to {name}")
        urls = {"app": database.app, "intake": pg.url(name, "p", database.name)}
        with pytest.raises(RoleRefused, match=rf"The database role {name} \(intake\) {why}.*Give the intake URL"):
            await Database.open(urls, {"app": 1, "intake": 1})
        assert await _connected(database) == 0
    finally:
        await execute_as_superuser(database.superuser, f"drop owned by {name}", f"drop role {name}")
        await execute_as_superuser(database.superuser, f"drop role if exists {name}_m")


async def test_an_index_or_a_table_elsewhere_is_no_right(pg: EmbeddedPostgres, database: DatabaseUrls) -> None:
    """A role may own what holds no rows of tenants: a sequence, or a table outside the product's schema."""
    name = f"r_{database.name}"
    await execute_as_superuser(
        database.superuser,
        f"create role {name} login password 'p'",
        f"create schema elsewhere authorization {name}",
        "create table elsewhere.odd (n int)",
        f"alter table elsewhere.odd owner to {name}",
        "create sequence odd",
        f"alter sequence odd owner to {name}",
    )
    try:
        opened = await Database.open({"app": pg.url(name, "p", database.name)}, {"app": 1})
        await opened.close()
    finally:
        await execute_as_superuser(database.superuser, f"drop owned by {name} cascade", f"drop role {name}")


async def test_a_server_that_refuses_or_is_away_is_told(pg: EmbeddedPostgres, database: DatabaseUrls) -> None:
    """The error names the role, and the pools that were opened before it are closed."""
    for wrong, says in (
        (pg.url("aiops_intake", "wrong", database.name), "PostgreSQL refuses the role intake"),
        (pg.url("aiops_intake", pg.password("aiops_intake"), "nowhere"), "PostgreSQL refuses the role intake"),
        ("postgresql://u:p@/x?host=/nowhere", "PostgreSQL cannot be reached as role intake"),
    ):
        with pytest.raises(DatabaseDown, match=says):
            await Database.open({"app": database.app, "intake": wrong}, {"app": 1, "intake": 1})
        assert await _connected(database) == 0


async def test_a_connection_in_use_is_cut_off_when_the_pools_close(
    opened: Database, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits for what is in use, but not for ever."""
    patience: list[float] = []
    wait_for = asyncio.wait_for

    async def hurried(work: object, seconds: float) -> object:
        patience.append(seconds)
        return await wait_for(work, 0.1)  # type: ignore[arg-type]

    async def close_under_a_session() -> None:
        async with opened.role("app") as con:
            monkeypatch.setattr(session, "asyncio", SimpleNamespace(wait_for=hurried))
            await opened.close()
            monkeypatch.undo()
            await con.execute("select 1")

    with pytest.raises(DatabaseDown):
        await close_under_a_session()
    assert patience == [5, 5, 5]
    assert await _connected(database) == 0


async def _connected(database: DatabaseUrls) -> int:
    con = await asyncpg.connect(database.superuser)
    try:
        for _ in range(50):
            count: int = await con.fetchval(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
                " and backend_type = 'client backend'"
            )
            if not count:
                return 0
            await asyncio.sleep(0.05)
        return count
    finally:
        await con.close()
