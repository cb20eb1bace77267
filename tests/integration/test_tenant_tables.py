"""What is known of the tables of tenants, which export and erasure go by, is what PostgreSQL's catalog says."""

from collections.abc import Sequence

import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_host.data.catalog import Column, TenantTable, tenant_tables
from aiops_host.data.session import Database


async def tables(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants, statements: Sequence[str]
) -> dict[str, TenantTable]:
    """Run the statements; return the tables of tenants there are then, in their order."""
    await execute_as_superuser(database.superuser, *statements)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        return {table.name: table for table in await tenant_tables(con)}


@pytest.mark.promise("export-whole")
async def test_a_table_is_known_with_its_columns_and_key(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """Columns stand in their order with their types, those of the primary key in the key's, each without what is gone."""
    found = await tables(
        opened,
        database,
        two_tenants,
        [
            "create table added (b text, gone int, tenant_id uuid, a numeric(12,6), c timestamptz not null, d text[],"
            " primary key (tenant_id, a, b) include (c), unique (tenant_id, c))",
            "alter table added drop column gone",
            "grant select on added to aiops_app",
            "create table keyless (tenant_id uuid, x boolean)",
            "grant select, delete on keyless to aiops_app",
        ],
    )
    assert found["added"] == TenantTable(
        "added",
        columns=(
            Column("b", "text"),
            Column("tenant_id", "uuid"),
            Column("a", "numeric(12,6)"),
            Column("c", "timestamp with time zone"),
            Column("d", "text[]"),
        ),
        key=(Column("a", "numeric(12,6)"), Column("b", "text")),
        deletable=False,
    )
    assert found["keyless"] == TenantTable(
        "keyless", columns=(Column("tenant_id", "uuid"), Column("x", "boolean")), key=(), deletable=True
    )


@pytest.mark.promise("export-whole")
async def test_only_tables_of_tenants_are_known(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """A table without a tenant, a view, an index, a partition and a table of another schema are not; a partitioned one is."""
    before = await tables(opened, database, two_tenants, [])
    found = await tables(
        opened,
        database,
        two_tenants,
        [
            "create table loose (id uuid primary key)",
            "create table left_behind (tenant_id uuid, id uuid)",
            "alter table left_behind drop column tenant_id",
            "create view seen as select tenant_id from run",
            "create materialized view kept as select tenant_id from run with no data",
            "create schema elsewhere",
            "create table elsewhere.away (tenant_id uuid)",
            "create table split (tenant_id uuid, n int) partition by list (n)",
            "create table split_1 partition of split for values in (1)",
        ],
    )
    assert found.keys() - before.keys() == {"split"}
    assert before.keys() - found.keys() == set()


@pytest.mark.promise("tenant-gone")
async def test_each_table_stands_before_those_it_refers_to(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """Rows can be deleted table by table: children first, by name where it does not matter, and circles are cut open."""
    found = await tables(
        opened,
        database,
        two_tenants,
        [
            "create table a_parent (tenant_id uuid, id int, primary key (tenant_id, id))",
            "create table m_child (tenant_id uuid, id int, up int, primary key (tenant_id, id),"
            " foreign key (tenant_id, id) references a_parent, foreign key (tenant_id, up) references m_child)",
            "create table z_grandchild (tenant_id uuid, id int, foreign key (tenant_id, id) references m_child)",
            "create table plain (id int primary key)",
            "create table same_b (tenant_id uuid, id int references plain)",
            "create table same_c (tenant_id uuid, id int references plain)",
            "create table ring_b (tenant_id uuid, id int, primary key (tenant_id, id))",
            "create table ring_a (tenant_id uuid, id int, primary key (tenant_id, id),"
            " foreign key (tenant_id, id) references ring_b)",
            "alter table ring_b add foreign key (tenant_id, id) references ring_a",
        ],
    )
    order = list(found)
    assert [name for name in order if name in ("z_grandchild", "m_child", "a_parent")] == [
        "z_grandchild",
        "m_child",
        "a_parent",
    ]
    assert order.index("same_b") + 1 == order.index("same_c")
    assert order.index("ring_a") < order.index("ring_b")
    async with opened.role("app") as con:
        links = await con.fetch(
            "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint where contype = 'f'"
        )
    for child, parent in links:
        if child != parent and {child, parent} <= found.keys() and not child.startswith("ring"):
            assert order.index(child) < order.index(parent), (child, parent)
