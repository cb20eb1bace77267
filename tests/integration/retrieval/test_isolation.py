"""The wall between tenants around everything that can be searched."""

import re
from typing import Any

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, savepoint
from tests.support.search_index import TABLES, broken_rules, row_counts, ticket

from aiops_host.data.retrieval import assets, history, knowledge, ranking
from aiops_host.data.retrieval.assets import Asset
from aiops_host.data.retrieval.knowledge import Article
from aiops_host.data.session import Database

QUERY = "vpn tunnel drops"
ARTICLE = Article(slug="vpn.md", title="VPN", body="Why a VPN tunnel drops.")
GATEWAY = Asset(name="vpn-gw01", hostnames=("vpn-gw01.corp.example",), ips=("10.1.1.1",))


async def fill(con: Any) -> None:
    """Give the current tenant a row in every table of retrieval."""
    tickets = [ticket(n, f"VPN tunnel drops\nnumber{n}") for n in range(100)]
    await history.upsert(con, tickets, connection_id=None, source="test")
    await knowledge.upsert(con, [ARTICLE])
    await assets.upsert(con, [GATEWAY])


async def test_a_tenant_finds_only_its_own(opened: Database, two_tenants: TwoTenants) -> None:
    """No function reads or deletes what another tenant stored, though it names it exactly."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await fill(con)
        before = await row_counts(con)
    assert all(before.values())
    async with opened.tenant(two_tenants.b.tenant_id) as con:
        assert set((await row_counts(con)).values()) == {0}
        assert await history.similar(con, QUERY) == []
        assert await knowledge.search(con, QUERY) == []
        assert await assets.find(con, ["vpn-gw01", "10.1.1.1"]) == []
        assert await history.delete(con, [str(n) for n in range(100)]) == 0
        assert await knowledge.delete(con, ["vpn.md"]) == 0
        assert await assets.delete(con, ["vpn-gw01"]) == 0
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await row_counts(con) == before
        assert len(await history.similar(con, QUERY)) == 5
        assert await broken_rules(con) == []


async def test_the_same_names_do_not_collide(opened: Database, two_tenants: TwoTenants) -> None:
    """Two tenants store the same tickets, articles and assets, and each changes and deletes its own only."""
    for tenant in two_tenants:
        async with opened.tenant(tenant.tenant_id) as con:
            await fill(con)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await history.upsert(con, [ticket(5, "Monitor flickers")], connection_id=None, source="test")
        await history.delete(con, ["6"])
        await knowledge.delete(con, ["vpn.md"])
        await assets.upsert(con, [Asset(name="vpn-gw01", ips=("10.9.9.9",))])
    async with opened.tenant(two_tenants.b.tenant_id) as con:
        assert {e.ref for e in await history.similar(con, QUERY, 100)} == {str(n) for n in range(100)}
        assert [e.ref for e in await knowledge.search(con, QUERY)] == ["vpn.md"]
        assert [e.ref for e in await assets.find(con, ["10.1.1.1"])] == ["vpn-gw01"]
        assert await broken_rules(con) == []


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_for_another_tenant_is_refused(opened: Database, two_tenants: TwoTenants, table: str) -> None:
    """Neither a copied nor a moved row can be given to another tenant, in any table."""
    a, b = two_tenants.a.tenant_id, two_tenants.b.tenant_id
    async with opened.tenant(a) as con:
        await fill(con)
        columns = await con.fetch(
            "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and attname <> 'tenant_id'",
            table,
        )
        names = ", ".join(row["attname"] for row in columns)
        copy = f"insert into {table} (tenant_id, {names}) overriding system value select $1, {names} from {table}"  # noqa: S608
        for statement in (copy, f"update {table} set tenant_id = $1"):  # noqa: S608 - names of our tables
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with savepoint(con):
                    await con.execute(statement, b)


async def test_a_deleted_tenant_takes_its_index_along(
    opened: Database, two_tenants: TwoTenants, database: DatabaseUrls
) -> None:
    """Deleting a tenant empties every table of its rows and of no other's."""
    for tenant in two_tenants:
        async with opened.tenant(tenant.tenant_id) as con:
            await fill(con)
            before = await row_counts(con)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await con.execute("delete from tenant where tenant_id = $1", two_tenants.a.tenant_id)
    superuser = await asyncpg.connect(database.superuser)
    try:
        assert await row_counts(superuser) == before
    finally:
        await superuser.close()


@pytest.mark.parametrize(("query", "more"), [(ranking.ALL_READ, []), (ranking.PRUNED, [[1], [1.0], 10])])
async def test_search_reads_one_index_range_per_word(
    opened: Database, two_tenants: TwoTenants, query: str, more: list[Any]
) -> None:
    """The row-level security of the application role does not keep the search from its index."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await fill(con)
        await con.execute("set local enable_seqscan = off")
        await con.execute("set local enable_nestloop = off")
        for parameters in ("custom", "generic"):
            await con.execute(f"set local plan_cache_mode = force_{parameters}_plan")
            plan = await con.fetch("explain " + query, [1], [1.0], 0.1, 10, *more)
            text = "\n".join(row[0] for row in plan)
            condition = text.partition("search_posting_pkey")[2].partition("Index Cond")[2].partition("\n")[0]
            assert "tenant_id = " in condition
            assert re.search(r"lexeme_id = q\w*\.lexeme_id", condition)
