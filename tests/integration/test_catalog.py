"""The walls between tenants, read from PostgreSQL's catalog, so that a table added later is covered at once."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.support.catalog import offences
from tests.support.databases import DatabaseUrls

from aiops_host.data.tables import TABLES

TYPES = {
    "uuid": "UUID",
    "text": "TEXT",
    "text[]": "TEXT[]",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "boolean": "BOOLEAN",
    "bytea": "BYTEA",
    "jsonb": "JSONB",
    "timestamp with time zone": "TIMESTAMPTZ",
    "double precision": "DOUBLE PRECISION",
    "numeric(12,6)": "NUMERIC",
}

# What a bad migration could do, and what the check must say about it.
WEAKENED = {
    "no force": ("alter table delivery no force row level security", "delivery lacks row-level security"),
    "not enabled": ("alter table secret disable row level security", "secret lacks row-level security"),
    "open policy": (
        "alter policy tenant_rows on run using (true)",
        "policy tenant_rows of run is not the tenant rule",
    ),
    "open check": (
        "alter policy tenant_rows on run with check (true)",
        "policy tenant_rows of run is not the tenant rule",
    ),
    "lenient rule": (
        "alter policy tenant_rows on step using "
        "(tenant_id = (select current_setting('app.current_tenant_id', true)::uuid))",
        "policy tenant_rows of step is not the tenant rule",
    ),
    "second policy": (
        "create policy more on effect to aiops_app using (true)",
        "policy more of effect lets aiops_app in without review",
    ),
    "no policy": ("drop policy tenant_rows on attempt", "attempt has no tenant policy"),
    "table without tenant": (
        "create table loose (id uuid primary key)",
        "loose has no tenant_id that is not null",
    ),
    "nullable tenant": (
        "create table loose (tenant_id uuid, id uuid)",
        "loose has no tenant_id that is not null",
    ),
    "index": ("create index stray on run (ticket_id)", "index stray of run does not start with tenant_id"),
    "unique": (
        "alter table connection add constraint told unique (name)",
        "index told of connection does not start with tenant_id",
    ),
    "foreign key": (
        "alter table connection add column parent uuid references tenant",
        "foreign key connection_parent_fkey of connection does not lead with tenant_id",
    ),
    "matview": (
        "create materialized view all_runs as select * from run with no data",
        "all_runs is a materialised view",
    ),
    "view": ("create view runs as select * from run", "view runs runs with its owner's rights"),
    "definer": (
        "create function peek() returns bigint language sql security definer set search_path = pg_catalog, public, "
        "pg_temp as 'select count(*) from public.run'; revoke all on function peek from public",
        "peek runs with its owner's rights",
    ),
    "search path": (
        "alter function session_find reset search_path",
        "session_find does not pin its search path",
    ),
    "public function": ("grant execute on function user_put to public", "everybody may execute user_put"),
    "public table": ("grant select on tenant to public", "public has SELECT on tenant"),
    "truncate": ("grant truncate on delivery to aiops_app", "aiops_app has TRUNCATE on delivery"),
    "intake reads": ("grant select on delivery to aiops_intake", "aiops_intake has SELECT on delivery"),
    "sweeper reads": (
        "grant select (body) on delivery to aiops_sweeper",
        "aiops_sweeper has SELECT on delivery.body",
    ),
    "people": ("grant select on app_user to aiops_app", "aiops_app has SELECT on app_user"),
    "ownership": ("alter table run owner to aiops_app", "run belongs to aiops_app"),
    "create": ("grant create on schema public to aiops_app", "aiops_app has CREATE on the schema"),
}


@pytest.fixture
async def superuser(database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection, which the catalog tests need to read and to weaken it."""
    con = await asyncpg.connect(database.superuser)
    yield con
    await con.close()


@pytest.mark.attack(4)
@pytest.mark.attack(5)
@pytest.mark.attack(6)
@pytest.mark.promise("tenants-apart")
async def test_no_relation_is_weaker_than_promised(superuser: asyncpg.Connection) -> None:
    """Every table, view, index, key, function and role keeps the rules of tenant isolation."""
    assert await offences(superuser) == []


@pytest.mark.parametrize("weakness", WEAKENED)
@pytest.mark.attack(4, figure="24 ways to weaken the schema")
@pytest.mark.attack(5)
async def test_a_weakened_schema_is_reported(superuser: asyncpg.Connection, weakness: str) -> None:
    """Each rule taken away is named by the check, so that its silence means something."""
    statement, expected = WEAKENED[weakness]
    by_owner = "owner to" not in statement and "schema" not in statement
    await superuser.execute("set role aiops_owner" if by_owner else "reset role")
    await superuser.execute(statement)
    await superuser.execute("reset role")
    found = await offences(superuser)
    assert any(expected in offence for offence in found), found


async def test_the_tables_piccolo_queries_are_those_in_the_catalog(superuser: asyncpg.Connection) -> None:
    """Each Piccolo class has exactly its table's columns, with their types and whether they may be null."""
    for table in TABLES:
        rows = await superuser.fetch(
            "select attname, format_type(atttypid, atttypmod) as type, not attnotnull as optional from pg_attribute "
            "where attrelid = $1::regclass and attnum > 0 and not attisdropped",
            table._meta.tablename,
        )
        catalog = {row["attname"]: (TYPES[row["type"]], row["optional"]) for row in rows}
        declared = {c._meta.name: (c.column_type, c._meta.null) for c in table._meta.columns}
        assert declared == catalog, table._meta.tablename
