"""A tenant's archive: every row of it, nothing of anybody else, and no secret."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support import rows
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.interrupted import held
from tests.support.keys import make_vault
from tests.support.postbox import postbox_plugins

from aiops_host.data import export
from aiops_host.data.catalog import tenant_tables
from aiops_host.data.session import Database
from aiops_host.data.tenants import UnknownTenant
from aiops_host.trust.connections import NewConnection, create_connection

CANARY = "canary-of-the-export-4711"


@pytest.fixture
async def superuser(database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """Fills tables that the product fills by functions only."""
    con = await asyncpg.connect(database.superuser)
    yield con
    await con.close()


async def exported(opened: Database, tenant_id: UUID) -> dict[str, Any]:
    """Return the archive's tables as lists of rows, and its manifest."""
    archive = b"".join([part async for part in export.archive(opened, tenant_id)])
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        assert bundle.testzip() is None
        files = {Path(name).name: bundle.read(name).decode() for name in bundle.namelist()}
    found: dict[str, Any] = {
        name.removesuffix(".jsonl"): [json.loads(line) for line in text.splitlines()]
        for name, text in files.items()
        if name.endswith(".jsonl")
    }
    return found | {"manifest": json.loads(files["manifest.json"]), "text": "\n".join(files.values())}


@pytest.mark.promise("export-whole")
async def test_every_row_of_every_table_is_in_the_archive(opened: Database, superuser: asyncpg.Connection) -> None:
    """Each table of tenants is a file with exactly this tenant's rows; a table added later is there at once."""
    await superuser.execute(
        "create table newcomer (tenant_id uuid not null, thing text not null, primary key (tenant_id, thing)); "
        "grant select on newcomer to aiops_app"
    )
    known = await rows.tables(superuser)
    ours, theirs = uuid4(), uuid4()
    made = {tenant_id: await rows.fill(superuser, tenant_id, known) for tenant_id in (ours, theirs)}
    found = await exported(opened, ours)
    scoped = [table.name for table in known.values() if table.scoped]
    assert "newcomer" in scoped
    assert sorted(entry["table"] for entry in found["manifest"]["tables"]) == sorted(scoped)
    for name in scoped:
        expected = await superuser.fetchval(
            f'select count(*) from "{name}" where tenant_id = $1',  # noqa: S608 - from the catalog
            ours,
        )
        assert len(found[name]) == expected >= 1, name
        assert {row["tenant_id"] for row in found[name]} == {str(ours)}, name
    assert found["delivery"][0]["body"] == "\\x" + made[ours]["delivery"]["body"].hex()
    assert {e["table"]: e["rows"] for e in found["manifest"]["tables"]} == {name: len(found[name]) for name in scoped}


@pytest.mark.attack(21)
@pytest.mark.promise("export-whole")
async def test_no_secret_is_in_the_archive(
    opened: Database, superuser: asyncpg.Connection, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """No credential and webhook secret is in it, neither as entered nor sealed, and no key that opens them."""
    tenant_id = two_tenants.a.tenant_id
    new = NewConnection(name="desk", ticketing_tool="postbox", config={"api_token": CANARY})
    made = await create_connection(opened, make_vault(tmp_path), postbox_plugins().registry, tenant_id, new)
    text = (await exported(opened, tenant_id))["text"]
    hidden = 0
    for table, column in sorted(export.SECRET_COLUMNS):
        for (value,) in await superuser.fetch(f'select "{column}" from "{table}" where tenant_id = $1', tenant_id):  # noqa: S608 - reviewed names
            shown = value.hex() if isinstance(value, bytes) else str(value)
            assert shown not in text, (table, column)
            hidden += 1
    assert hidden >= 3
    for plain in (CANARY, made.webhook_secret):
        assert plain not in text
    assert made.endpoint_id in text


async def test_what_may_hold_a_secret_was_looked_at(opened: Database, two_tenants: TwoTenants) -> None:
    """Each column of bytes, or named like a secret, is on one of the two reviewed lists; a new one fails here."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        tables = await tenant_tables(con)
    held_back = {(table.name, column) for table in tables for column in export.left_out(table)}
    assert held_back == export.SECRET_COLUMNS
    there = {(table.name, column.name) for table in tables for column in table.columns}
    assert there >= export.OPEN_COLUMNS


@pytest.mark.promise("export-whole")
async def test_a_column_nobody_looked_at_is_left_out(
    opened: Database, superuser: asyncpg.Connection, two_tenants: TwoTenants
) -> None:
    """Bytes and what is called a token stay inside until somebody says that they hold no secret."""
    await superuser.execute(
        "create table newcomer (tenant_id uuid not null, id integer not null, blob bytea, access_token text, note text, "
        "primary key (tenant_id, id)); grant select on newcomer to aiops_app"
    )
    tenant_id = two_tenants.a.tenant_id
    await superuser.execute("insert into newcomer values ($1, 1, $2, $3, 'open')", tenant_id, CANARY.encode(), CANARY)
    found = await exported(opened, tenant_id)
    assert found["newcomer"] == [{"tenant_id": str(tenant_id), "id": 1, "note": "open"}]
    assert CANARY not in found["text"]
    assert CANARY.encode().hex() not in found["text"]
    (entry,) = [e for e in found["manifest"]["tables"] if e["table"] == "newcomer"]
    assert entry["left_out"] == ["blob", "access_token"]


async def test_many_rows_come_page_by_page_in_little_memory(
    opened: Database, superuser: asyncpg.Connection, two_tenants: TwoTenants
) -> None:
    """Thousands of small rows and tens of megabytes of large ones are all there, and never at once in memory."""
    tenant_id = two_tenants.a.tenant_id
    await superuser.execute(
        "insert into asset (tenant_id, name, hostnames, ips) select $1, 'host ' || n, '{}', '{}' "
        "from generate_series(1, 3000) n",
        tenant_id,
    )
    await superuser.execute(
        "insert into connection (tenant_id, connection_id, name, ticketing_tool) values ($1, $1, 'desk', 'postbox')",
        tenant_id,
    )
    await superuser.execute(
        "insert into delivery (tenant_id, delivery_id, connection_id, endpoint_id, external_id, headers, body, "
        "proof_scheme, state) select $1, gen_random_uuid(), $1, 'e', n::text, '{}', decode(repeat('6b', 500000), 'hex'), "
        "'postbox', 'ignored' from generate_series(1, 60) n",
        tenant_id,
    )
    tracemalloc.start()
    try:
        parts = [part async for part in export.archive(opened, tenant_id)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as bundle:
        assert len(bundle.read("tenant-a/asset.jsonl").splitlines()) == 3000
        lines = bundle.read("tenant-a/delivery.jsonl").splitlines()
    assert len({json.loads(line)["delivery_id"] for line in lines}) == len(lines) == 60


@pytest.mark.promise("export-whole")
async def test_a_column_added_meanwhile_is_not_exported(
    opened: Database, superuser: asyncpg.Connection, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """A migration adds a column, perhaps of secrets, while rows are read: nobody has looked at it, so it stays inside."""
    tenant_id = two_tenants.a.tenant_id
    await rows.fill(superuser, tenant_id, await rows.tables(superuser))
    added = [f"alter table run add column newcomer text not null default '{CANARY}'"]
    async with held(database.superuser, "run", then=added):
        found = await exported(opened, tenant_id)
    assert found["run"]
    assert CANARY not in found["text"]


@pytest.mark.promise("export-whole")
async def test_a_tenant_whose_deletion_begins_meanwhile_has_no_archive(
    opened: Database, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """Its rows go while they are read: an archive without some of them would look whole."""
    tenant_id = two_tenants.a.tenant_id
    gone = [f"update tenant set state = 'deleting' where tenant_id = '{tenant_id}'"]  # noqa: S608 - our own id
    with pytest.raises(export.ExportBroken, match="is being deleted"):
        async with held(database.superuser, "run", then=gone):
            await exported(opened, tenant_id)


async def test_a_tenant_on_its_way_out_is_not_exported(opened: Database, two_tenants: TwoTenants) -> None:
    """What is left of a tenant that is being deleted is no archive of it."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await con.execute("update tenant set state = 'deleting'")
    with pytest.raises(UnknownTenant, match="is being deleted"):
        await exported(opened, two_tenants.a.tenant_id)
