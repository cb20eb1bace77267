"""Assets: found by any of their names, in any spelling."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.search_index import row_counts, write_crosswise

from aiops_host.data.retrieval import assets
from aiops_host.data.retrieval.assets import Asset, AssetInvalid
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.session import Database

SQL = Asset(
    name="BRS-SQL01",
    kind="database server",
    owner="Data team",
    site="Bristol",
    notes="No restart in clinic hours.",
    hostnames=("brs-sql01.corp.example", "db.corp.example"),
    ips=("10.20.10.21", "2001:DB8:20:10:0:0:0:21", "10.20.99.0/24"),
)
PRINTER = Asset(name="Label printer 4", hostnames=("lp4",), ips=("192.168.4.4/32",))


@pytest.mark.parametrize(
    "key",
    [
        "BRS-SQL01",
        "brs-sql01",
        " Brs-Sql01 ",
        "BRS-SQL01.corp.example",
        "brs-sql01.corp.example.",
        "DB",
        "10.20.10.21",
        "2001:db8:20:10::21",
        "2001:0DB8:0020:0010:0000:0000:0000:0021",
        "[2001:db8:20:10::21]",
        "2001:db8:20:10::21%eth0",
        "::ffff:10.20.10.21",
        "::FFFF:0a14:0a15",
        "10.20.99.0/24",
    ],
)
async def test_an_asset_is_found_by_every_spelling(opened: Database, two_tenants: TwoTenants, key: str) -> None:
    """Case, a missing domain, a final dot, and the many ways to write an address make no difference."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await assets.upsert(con, [SQL, PRINTER])
        found = await assets.find(con, [key])
    assert [(e.ref, e.score) for e in found] == [("BRS-SQL01", 1.0)]


async def test_the_evidence_says_what_is_known_of_the_asset(opened: Database, two_tenants: TwoTenants) -> None:
    """Kind, owner, site, names, addresses and notes stand in the text; what is not known is left out."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await assets.upsert(con, [SQL, PRINTER])
        sql, printer = await assets.find(con, ["10.20.10.21", "lp4"])
    assert (sql.source, sql.title) == ("asset", "BRS-SQL01")
    for said in ("database server", "Data team", "Bristol", "db.corp.example", "2001:db8:20:10::21", "clinic hours"):
        assert said in sql.text
    assert printer.text == "Hostnames: lp4\nAddresses: 192.168.4.4"


async def test_assets_come_in_the_order_asked_and_once(opened: Database, two_tenants: TwoTenants) -> None:
    """Several keys of one asset give one item; unknown and odd keys give none."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await assets.upsert(con, [SQL, PRINTER])
        keys = ["lp4", "", "nobody", "\x00", "\ud800", "10.20.10.2", "x" * 100_000, "db", "brs-sql01", "192.168.4.4"]
        assert [e.ref for e in await assets.find(con, keys)] == ["Label printer 4", "BRS-SQL01"]
        assert await assets.find(con, []) == []


async def test_a_full_hostname_finds_the_bare_one_at_half_the_score(opened: Database, two_tenants: TwoTenants) -> None:
    """An asset listed without its domain is found by the full name, after those that match exactly."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await assets.upsert(con, [SQL, PRINTER])
        found = await assets.find(con, ["lp4.corp.example", "brs-sql01.corp.example"])
        assert [(e.ref, e.score) for e in found] == [("BRS-SQL01", 1.0), ("Label printer 4", 0.5)]
        assert await assets.find(con, ["10.example"]) == []


async def test_an_update_replaces_the_keys(opened: Database, two_tenants: TwoTenants) -> None:
    """A changed asset is found by its new names only; importing it again changes nothing; deleting leaves nothing."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert await assets.upsert(con, [SQL, PRINTER, PRINTER]) == UpsertCount(added=2)
        assert await assets.upsert(con, [PRINTER, SQL]) == UpsertCount(unchanged=2)
        moved = Asset(name="BRS-SQL01", ips=("10.77.0.1",))
        assert await assets.upsert(con, [moved]) == UpsertCount(changed=1)
        assert await assets.find(con, ["10.20.10.21", "db"]) == []
        assert [e.ref for e in await assets.find(con, ["10.77.0.1"])] == ["BRS-SQL01"]
        assert await assets.delete(con, ["BRS-SQL01", "Label printer 4", "nobody"]) == 2
        assert sum((await row_counts(con)).values()) == 0


async def test_an_unreadable_address_is_refused_by_name(opened: Database, two_tenants: TwoTenants) -> None:
    """The error names the asset and the value, and nothing of the import is stored."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        with pytest.raises(AssetInvalid, match=r"Asset LP5: '10\.0\.0' is no IP address"):
            await assets.upsert(con, [PRINTER, Asset(name="LP5", ips=("10.0.0",))])
        assert sum((await row_counts(con)).values()) == 0


async def test_importers_of_one_tenant_take_turns(opened: Database, two_tenants: TwoTenants) -> None:
    """Importers with the same assets in opposite order neither wait for each other for ever nor store twice."""
    many = [Asset(name=f"host{n}", ips=(f"10.0.{n}.1",)) for n in range(40)]

    async def import_all(order: list[Asset], site: str) -> None:
        for start in range(0, len(order), 10):
            async with opened.tenant(two_tenants.a.tenant_id) as con:
                batch = [Asset(name=a.name, ips=a.ips, site=site) for a in order[start : start + 10]]
                await assets.upsert(con, batch[:5])
                await assets.upsert(con, batch[5:])

    await asyncio.wait_for(asyncio.gather(import_all(many, "one"), import_all(many[::-1], "two")), 60)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        counts = await row_counts(con)
    assert (counts["asset"], counts["asset_key"]) == (40, 80)


async def test_importers_cannot_wait_for_each_other(
    opened: Database, two_tenants: TwoTenants, database: DatabaseUrls
) -> None:
    """Of two sessions that write the same assets crosswise, the later one waits before it writes anything."""

    async def sql(con: Any) -> None:
        await assets.upsert(con, [Asset(name="BRS-SQL01", site=str(uuid4()))])

    async def printer(con: Any) -> None:
        await assets.upsert(con, [Asset(name="Label printer 4", site=str(uuid4()))])

    await write_crosswise(opened, database.superuser, two_tenants.a.tenant_id, sql, printer)
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        assert (await row_counts(con))["asset"] == 2
