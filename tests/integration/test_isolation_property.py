"""Two tenants, a pool of two connections and everything that can go wrong: no row ever crosses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, execute_as_superuser, savepoint

from aiops_host.data.engine import UnscopedQuery
from aiops_host.data.session import Database, DatabaseBusy, DatabaseDown, RoleRefused, TenantMismatch
from aiops_host.data.tables import Connection as ConnectionTable

STATEMENTS = int(os.environ.get("AIOPS_ISOLATION_STATEMENTS", "20000"))
TASKS = 4
FORCED_OUT = (DatabaseDown, DatabaseBusy, asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)

Rule = Callable[["Machine", UUID], Awaitable[None]]


class Deliberate(Exception):
    """An error of the caller inside a session."""


@dataclass
class Machine:
    """What each tenant must hold, and how often each rule ran to its end."""

    database: Database
    killer: asyncpg.Connection
    rows: dict[UUID, dict[UUID, str]]
    random: random.Random
    wanted: int
    statements: int = 0
    ran: Counter[str] = field(default_factory=Counter)
    locks: dict[UUID, asyncio.Lock] = field(default_factory=dict)

    def other(self, tenant: UUID) -> UUID:
        """Return the other tenant."""
        return next(t for t in self.rows if t != tenant)

    def one_of(self, tenant: UUID) -> UUID:
        """Return a connection of the tenant, or an id nobody has."""
        return self.random.choice([*self.rows[tenant], uuid4()])

    @contextlib.asynccontextmanager
    async def session(self, tenant: UUID) -> AsyncIterator[asyncpg.Connection]:
        """Open the tenant's session; every row seen in it is counted and checked by the rules."""
        async with self.database.tenant(tenant) as con:
            yield con

    def saw(self, tenant: UUID, found: Sequence[Mapping[str, Any]]) -> None:
        """Check what a statement returned."""
        self.statements += 1
        foreign = [row for row in found if row["tenant_id"] != tenant]
        assert not foreign, f"a session of {tenant} returned {foreign}"


async def read(m: Machine, tenant: UUID) -> None:
    """Read all rows and compare them with what the tenant must hold."""
    async with m.session(tenant) as con:
        found = await con.fetch("select tenant_id, connection_id, name from connection")
        m.saw(tenant, found)
        assert {r["connection_id"]: r["name"] for r in found} == m.rows[tenant]


async def read_by_piccolo(m: Machine, tenant: UUID) -> None:
    """Read the other tenant's row by its id through Piccolo."""
    async with m.session(tenant):
        found = await ConnectionTable.select().where(ConnectionTable.connection_id == m.one_of(m.other(tenant)))
    m.saw(tenant, found)
    assert found == []


async def joined(m: Machine, tenant: UUID) -> None:
    """Join two tables without naming the tenant."""
    async with m.session(tenant) as con:
        m.saw(tenant, await con.fetch("select c.tenant_id from tenant t cross join connection c"))


async def insert(m: Machine, tenant: UUID) -> None:
    """Insert a row of the tenant."""
    key, name = uuid4(), uuid4().hex
    async with m.session(tenant) as con:
        await con.execute(INSERT, tenant, key, name)
        m.statements += 1
    m.rows[tenant][key] = name


async def insert_for_the_other(m: Machine, tenant: UUID) -> None:
    """Insert a row that names the other tenant: refused."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with m.session(tenant) as con:
            await con.execute(INSERT, m.other(tenant), uuid4(), uuid4().hex)
    m.statements += 1


async def update(m: Machine, tenant: UUID) -> None:
    """Rename a row by its id, once the tenant's own and once the other's."""
    mine, theirs, name = m.one_of(tenant), m.one_of(m.other(tenant)), uuid4().hex
    async with m.session(tenant) as con:
        m.saw(tenant, await con.fetch(RENAME, mine, name))
        assert await con.fetch(RENAME, theirs, uuid4().hex) == []
    if mine in m.rows[tenant]:
        m.rows[tenant][mine] = name


async def delete(m: Machine, tenant: UUID) -> None:
    """Delete a row by its id, once the tenant's own and once the other's."""
    mine, theirs = m.one_of(tenant), m.one_of(m.other(tenant))
    async with m.session(tenant) as con:
        m.saw(tenant, await con.fetch(DELETE, mine))
        assert await con.fetch(DELETE, theirs) == []
    m.rows[tenant].pop(mine, None)


async def give_away(m: Machine, tenant: UUID) -> None:
    """Move an own row to the other tenant: refused."""
    if m.rows[tenant]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with m.session(tenant) as con:
                await con.execute("update connection set tenant_id = $1", m.other(tenant))
    m.statements += 1


async def fail(m: Machine, tenant: UUID) -> None:
    """Fail inside the session: nothing of it stays."""
    with pytest.raises(Deliberate):  # noqa: PT012 - the session is what raises
        async with m.session(tenant) as con:
            await con.execute(INSERT, tenant, uuid4(), uuid4().hex)
            raise Deliberate
    m.statements += 1


async def cancel(m: Machine, tenant: UUID) -> None:
    """Cancel a session in the middle of a statement: nothing of it stays."""

    async def slow() -> None:
        async with m.session(tenant) as con:
            await con.execute(INSERT, tenant, uuid4(), uuid4().hex)
            await con.execute("select pg_sleep(5)")

    task = asyncio.create_task(slow())
    await asyncio.sleep(m.random.random() * 0.004)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    m.statements += 2


async def kill_backend(m: Machine, tenant: UUID) -> None:
    """Kill the session's server process in its middle: nothing of it stays."""
    with pytest.raises(FORCED_OUT):  # noqa: PT012 - the session is what raises
        async with m.session(tenant) as con:
            await con.execute(INSERT, tenant, uuid4(), uuid4().hex)
            await m.killer.execute("select pg_terminate_backend($1)", con.get_server_pid())
            await con.execute("select 1")
    m.statements += 3


async def undo_a_part(m: Machine, tenant: UUID) -> None:
    """Roll back to a savepoint and go on as the same tenant."""
    async with m.session(tenant) as con:
        with contextlib.suppress(asyncpg.UniqueViolationError):
            async with savepoint(con):
                await con.execute("insert into tenant (tenant_id, slug, name) values ($1, 'taken', 'x')", tenant)
        m.saw(tenant, await con.fetch("select tenant_id from connection"))


async def nested(m: Machine, tenant: UUID) -> None:
    """Open the other tenant's session inside: refused; the own one is joined."""
    async with m.session(tenant) as con:
        with pytest.raises(TenantMismatch):
            async with m.session(m.other(tenant)):
                raise AssertionError("the other tenant's session opened")
        async with m.session(tenant) as joined_con:
            assert joined_con is con
            m.saw(tenant, await joined_con.fetch("select tenant_id from connection"))


async def unscoped(m: Machine, tenant: UUID) -> None:
    """Read without any session: refused by the engine, and by the policy on a bare connection."""
    with pytest.raises(UnscopedQuery):
        await ConnectionTable.select()
    with pytest.raises(asyncpg.PostgresError):
        async with m.database.role("app") as con:
            await con.fetch("select * from connection")
    m.statements += 2


INSERT = "insert into connection (tenant_id, connection_id, name, ticketing_tool) values ($1, $2, $3, 'x')"
RENAME = "update connection set name = $2 where connection_id = $1 returning tenant_id"
DELETE = "delete from connection where connection_id = $1 returning tenant_id"
OFTEN: tuple[Rule, ...] = (read, read_by_piccolo, joined, insert, update, delete)
SOMETIMES: tuple[Rule, ...] = (insert_for_the_other, give_away, fail, undo_a_part, nested, unscoped)
SELDOM: tuple[Rule, ...] = (cancel, kill_backend)


@pytest.mark.attack(1, figure="20,000 statements with errors, cancels and killed backends")
@pytest.mark.promise("tenants-apart", figure="20,000 statements")
async def test_no_row_crosses(database: DatabaseUrls) -> None:
    """In at least twenty thousand statements, with errors, cancels and killed backends, no row crosses."""
    machine = await _played(database, STATEMENTS)

    assert set(machine.ran) == {rule.__name__ for rule in (*OFTEN, *SOMETIMES, *SELDOM)}


@pytest.mark.parametrize(
    "hole",
    [
        "alter table connection disable row level security",
        "alter policy tenant_rows on connection using (true) with check (true)",
        "alter role aiops_app bypassrls",
    ],
)
async def test_a_hole_is_seen(database: DatabaseUrls, hole: str) -> None:
    """With a wall taken down the same play reports a crossing."""
    await execute_as_superuser(database.superuser, hole)
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception, RoleRefused)):
            await _played(database, 400)
    finally:
        await execute_as_superuser(database.superuser, "alter role aiops_app nobypassrls")


async def _played(database: DatabaseUrls, statements: int) -> Machine:
    seed = int(os.environ.get("AIOPS_ISOLATION_SEED", secrets.randbits(32)))
    print(f"AIOPS_ISOLATION_SEED={seed}")
    pools = await Database.open({"app": database.app}, {"app": 2})
    killer = await asyncpg.connect(database.superuser)
    try:
        machine = Machine(pools, killer, {uuid4(): {}, uuid4(): {}}, random.Random(seed), statements)  # noqa: S311
        for number, tenant in enumerate(machine.rows):
            machine.locks[tenant] = asyncio.Lock()
            async with pools.tenant(tenant) as con:
                await con.execute("insert into tenant values ($1, $2, 'x')", tenant, f"tenant-{number}")
        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(_play(machine))
        for tenant in machine.rows:
            await read(machine, tenant)
        assert pools.usage()[0] == 0
    except* (AssertionError, pytest.fail.Exception) as crossings:
        raise AssertionError(str(crossings.exceptions[0])) from crossings
    finally:
        await killer.close()
        await pools.close()
    return machine


async def _play(machine: Machine) -> None:
    """Run rules until enough statements were made; rules of one tenant take turns, so that the model holds."""
    tenants = sorted(machine.rows)
    while machine.statements < machine.wanted:
        rules = machine.random.choices((OFTEN, SOMETIMES, SELDOM), (80, 18, 2))[0]
        rule = machine.random.choice(rules)
        tenant = machine.random.choice(tenants)
        async with contextlib.AsyncExitStack() as held:
            for name in tenants if rule in (update, delete, read_by_piccolo) else [tenant]:
                await held.enter_async_context(machine.locks[name])
            with contextlib.suppress(DatabaseDown):
                await rule(machine, tenant)
                machine.ran[rule.__name__] += 1
