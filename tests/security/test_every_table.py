"""Every table of a tenant, every verb, with the right tenant, the wrong one and none: nothing crosses."""

from __future__ import annotations

import asyncio
import io
import os
import random
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, execute_as_superuser
from tests.support.rows import Row, Table, fill, new_row, tables

from aiops_host.data.session import Database, RoleRefused

STATEMENTS = int(os.environ.get("AIOPS_WALL_STATEMENTS", "4000"))
TASKS = 4
REFUSED = asyncpg.InsufficientPrivilegeError


class Undone(Exception):
    """Ends a session so that nothing of it stays."""


@dataclass
class Walls:
    """The tables, a row of each for two tenants, and how often each verb was tried on each table."""

    database: Database
    known: dict[str, Table]
    rows: dict[UUID, dict[str, Row]]
    random: random.Random
    tried: Counter[tuple[str, str]] = field(default_factory=Counter)

    def of(self, tenant: UUID, table: Table) -> dict[str, Any]:
        """Return the key of the tenant's row, without its tenant."""
        return {name: self.rows[tenant][table.name][name] for name in table.key if name != "tenant_id"}

    def other(self, tenant: UUID) -> UUID:
        """Return the other tenant."""
        return next(t for t in self.rows if t != tenant)

    def one(self) -> Table:
        """Return any table."""
        return self.random.choice(list(self.known.values()))


Verb = Callable[[Walls, Any, Table, UUID], Awaitable[None]]


def only(tenant: UUID, found: list[asyncpg.Record], what: str) -> None:
    """Check that every row is the tenant's."""
    foreign = [dict(row) for row in found if row["tenant_id"] != tenant]
    assert not foreign, f"{what} as {tenant} returned {foreign}"


def where(key: Row) -> str:
    """Return a condition on the key's columns, or one that is always true where the tenant is the whole key."""
    return " and ".join(f'"{name}" = ${n}' for n, name in enumerate(key, 1)) or "true"


async def read(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """Everything: the tenant's own row is there, and nobody else's."""
    found = await con.fetch(f'select tenant_id from "{table.name}"')  # noqa: S608
    only(tenant, found, f"reading {table.name}")
    assert found, f"{table.name} hides the tenant's own row"


async def read_by_key(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """The other tenant's key finds nothing, locked or not."""
    key = w.of(w.other(tenant), table)
    found = await con.fetch(f'select tenant_id from "{table.name}" where {where(key)}', *key.values())  # noqa: S608
    only(tenant, found, f"reading {table.name} by key")


async def join(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """A join that names no tenant."""
    more = w.one().name
    found = await con.fetch(f'select a.tenant_id from "{table.name}" a full join "{more}" b on true')  # noqa: S608
    only(tenant, found, f"joining {table.name} and {more}")


async def copy(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """A bulk copy out."""
    out = io.BytesIO()
    await con.copy_from_query(f'select tenant_id from "{table.name}"', output=out)  # noqa: S608
    assert set(out.getvalue().decode().split()) <= {str(tenant)}, f"copying {table.name} returned another's rows"


async def insert_for_another(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """A row that names the other tenant, or one there is not, is refused alike."""
    parents = w.rows[w.other(tenant)]
    said = set()
    for owner in (w.other(tenant), uuid4()):
        row = new_row(table, owner, {n: {**p, "tenant_id": owner} for n, p in parents.items()})
        said.add(await _error(con, table, row))
    assert said == {(REFUSED.__name__, *next(iter(said))[1:])}, f"inserting into {table.name}: {said}"


async def insert_below_another(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """A row of one's own that refers to the other tenant's rows fails as if those were not there."""
    if not any(name in w.known for _, name, _ in table.links if name != "tenant"):
        return
    mine, theirs = w.rows[tenant], w.rows[w.other(tenant)]
    said = []
    for parents in (theirs, {n: {c: _random(v) for c, v in p.items()} for n, p in theirs.items()}):
        merged = {n: {**p, "tenant_id": tenant} for n, p in parents.items()}
        people = {n: mine[n] for n in mine if n not in w.known}
        said.append(await _error(con, table, new_row(table, tenant, {**merged, **people})))
    assert said[0] == said[1], f"inserting into {table.name} below another's rows tells them from none: {said}"


async def take_a_key(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """A row of one's own under the other tenant's key is stored, or fails, as under a free one."""
    linked = {column for columns, _, _ in table.links for column in columns}
    key = {
        n: v for n, v in w.of(w.other(tenant), table).items() if n not in linked and not table.columns[n]["numbered"]
    }
    said = [
        await _error(con, table, {**new_row(table, tenant, w.rows[tenant]), **chosen})
        for chosen in (key, {name: _random(value) for name, value in key.items()})
    ]
    assert said[0] == said[1], f"a taken key of {table.name} is told from a free one: {said}"


async def update(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """Everything, and the other's row by its key: only one's own rows change."""
    key = w.of(w.other(tenant), table)
    for condition, values in (("true", ()), (where(key), tuple(key.values()))):
        statement = f'update "{table.name}" set tenant_id = tenant_id where {condition} returning tenant_id'  # noqa: S608
        only(tenant, await _permitted(con, statement, *values), f"updating {table.name}")


async def give_away(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """One's own rows cannot be moved to another tenant."""
    try:
        await con.execute(f'update "{table.name}" set tenant_id = $1', w.other(tenant))  # noqa: S608
    except REFUSED:
        return
    except asyncpg.IntegrityConstraintViolationError as error:
        raise AssertionError(f"only a reference kept rows of {table.name} from being given away: {error}") from None
    raise AssertionError(f"rows of {table.name} were given to another tenant")


async def delete(w: Walls, con: Any, table: Table, tenant: UUID) -> None:
    """Everything, and the other's row by its key: only one's own rows go."""
    key = w.of(w.other(tenant), table)
    for condition, values in ((where(key), tuple(key.values())), ("true", ())):
        statement = f'delete from "{table.name}" where {condition} returning tenant_id'  # noqa: S608
        only(tenant, await _permitted(con, statement, *values), f"deleting from {table.name}")


VERBS: tuple[Verb, ...] = (
    read,
    read_by_key,
    join,
    copy,
    insert_for_another,
    insert_below_another,
    take_a_key,
    update,
    give_away,
    delete,
)


async def _permitted(con: Any, statement: str, *values: Any) -> list[asyncpg.Record]:
    """Return the rows of a statement; none where the application has no such right, or a reference forbids it."""
    await con.execute("savepoint tried")
    try:
        found: list[asyncpg.Record] = await con.fetch(statement, *values)
    except (REFUSED, asyncpg.IntegrityConstraintViolationError):
        await con.execute("rollback to tried")
        return []
    return found


async def _error(con: Any, table: Table, row: Row) -> tuple[str, str]:
    """Return how an insert fails, without the values it names, and undo it."""
    names, places = ", ".join(f'"{n}"' for n in row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await con.execute("savepoint tried")
    try:
        await con.execute(f'insert into "{table.name}" ({names}) values ({places})', *row.values())  # noqa: S608
    except asyncpg.PostgresError as error:
        return type(error).__name__, re.sub(r"=\(.*\)", "=()", f"{error} {error.detail or ''}")  # type: ignore[attr-defined]
    finally:
        await con.execute("rollback to tried")
    return "stored", ""


def _random(value: Any) -> Any:
    if isinstance(value, UUID):
        return uuid4()
    if isinstance(value, int) and not isinstance(value, bool):
        return secrets.randbelow(2**30) + 1000
    if isinstance(value, bytes):
        return secrets.token_bytes(len(value))
    return secrets.token_hex(len(value) // 2) if isinstance(value, str) and len(value) == 32 else value


async def _tried(walls: Walls, verb: Verb, table: Table, tenant: UUID) -> None:
    try:
        async with walls.database.tenant(tenant) as con:
            await verb(walls, con, table, tenant)
            raise Undone
    except Undone:
        walls.tried[table.name, verb.__name__] += 1
    except asyncpg.DeadlockDetectedError:  # two sessions that delete everything of one tenant
        await _tried(walls, verb, table, tenant)


async def _play(urls: DatabaseUrls, statements: int) -> Walls:
    """Try every verb on every table once as each tenant, then at random until there were enough."""
    seed = int(os.environ.get("AIOPS_WALL_SEED", secrets.randbits(32)))
    print(f"AIOPS_WALL_SEED={seed}")
    pools = await Database.open({"app": urls.app}, {"app": 2}, patience=60)
    superuser = await asyncpg.connect(urls.superuser)
    try:
        known = await tables(superuser)
        rows = {tenant: await fill(superuser, tenant, known) for tenant in (uuid4(), uuid4())}
        scoped = {name: table for name, table in known.items() if table.scoped}
        walls = Walls(pools, scoped, rows, random.Random(seed))  # noqa: S311 - a play to repeat, no secret
        turns = [(verb, table, tenant) for verb in VERBS for table in scoped.values() for tenant in rows]
        while len(turns) < statements:
            turns.append((walls.random.choice(VERBS), walls.one(), walls.random.choice(list(rows))))
        walls.random.shuffle(turns)
        before = await _contents(superuser, scoped)
        async with asyncio.TaskGroup() as group:
            for task in range(TASKS):
                group.create_task(_take(walls, turns[task::TASKS]))
        assert await _contents(superuser, scoped) == before
        for name in scoped:
            assert await _refused_without_tenant(pools, name), f"reading {name} without a tenant is not refused"
    except* (AssertionError, pytest.fail.Exception) as crossings:
        raise AssertionError(str(crossings.exceptions[0])) from crossings
    finally:
        await superuser.close()
        await pools.close()
    return walls


async def _refused_without_tenant(pools: Database, name: str) -> bool:
    async with pools.role("app") as con:
        try:
            await con.fetch(f'select tenant_id from "{name}"')  # noqa: S608
        except asyncpg.PostgresError:
            return True
    return False


async def _take(walls: Walls, turns: list[tuple[Verb, Table, UUID]]) -> None:
    for verb, table, tenant in turns:
        await _tried(walls, verb, table, tenant)


async def _contents(con: asyncpg.Connection, known: dict[str, Table]) -> dict[str, list[str]]:
    return {n: [str(dict(r)) for r in await con.fetch(f'select * from "{n}" order by 1, 2')] for n in known}  # noqa: S608


@pytest.mark.promise("tenants-apart", figure="4,000 sessions over every table and verb")
@pytest.mark.attack(1, figure="4,000 sessions on a pool of 2")
@pytest.mark.attack(6)
@pytest.mark.attack(7)
async def test_nothing_crosses_in_any_table(database: DatabaseUrls) -> None:
    """In each table of tenants each verb stays within its tenant, tells nothing of another's keys, and fails without one."""
    walls = await _play(database, STATEMENTS)

    assert len(walls.known) > 15
    assert set(walls.tried) == {(name, verb.__name__) for name in walls.known for verb in VERBS}


HOLES = {
    "row security off": (
        "alter table run disable row level security",
        "run.* returned|inserting into run|run (were given|from being given)",
    ),
    "policy true": ("alter policy tenant_rows on plugin_setting using (true)", "plugin_setting.* returned"),
    "check true": (
        "alter policy tenant_rows on membership with check (true)",
        "inserting into membership|membership (were given|from being given)",
    ),
    "lenient policy": (
        "alter policy tenant_rows on step using "
        "(tenant_id = (select nullif(current_setting('app.current_tenant_id', true), '')::uuid))",
        "reading step without a tenant",
    ),
    "key without tenant": (
        "alter table plugin_setting drop constraint plugin_setting_pkey; "
        "alter table plugin_setting add primary key (kind, name)",
        "a taken key of plugin_setting is told from a free one",
    ),
    "reference without tenant": (
        "alter table step drop constraint step_tenant_id_run_id_fkey; alter table run add unique (run_id); "
        "alter table step add foreign key (run_id) references run (run_id) on delete cascade",
        "below another's rows tells them from none|key of run is told",
    ),
    "role past the walls": ("alter role aiops_app bypassrls", "bypasses row-level security"),
}


@pytest.mark.parametrize("hole", HOLES)
async def test_a_hole_in_one_table_is_found(database: DatabaseUrls, hole: str) -> None:
    """With one wall of one table taken down the same play reports it."""
    statement, said = HOLES[hole]
    await execute_as_superuser(database.superuser, statement)
    try:
        with pytest.raises((AssertionError, RoleRefused), match=said):
            await _play(database, 0)
    finally:
        await execute_as_superuser(database.superuser, "alter role aiops_app nobypassrls")
