"""The end of a tenant, and of a connection: what goes, what stays, and that half an end is finished."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support import rows
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.keys import make_vault
from tests.support.postbox import postbox_plugins

from aiops_core import AiopsError
from aiops_host.data import audit, claims, erasure, tenants
from aiops_host.data import connections as stored
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.connections import SealedSecret, UnknownConnection
from aiops_host.data.deliveries import Filters, ReplayOptions, ReplayRefused, list_, replay
from aiops_host.data.session import Database
from aiops_host.data.tenants import TenantChange, TenantDeleting, UnknownTenant
from aiops_host.trust import tenancy
from aiops_host.trust.audit import Actor
from aiops_host.trust.connections import NewConnection, SecretReader, create_connection
from aiops_host.trust.doors import ConnectionKept, Doorkeeper
from aiops_host.trust.keys.upkeep import Upkeep
from aiops_host.trust.tenancy import DeletionRefused
from aiops_host.trust.vault import Vault

PAT = Actor("person", "pat@msp.example")
CANARY = "canary-of-the-deletion-0815"


@pytest.fixture
async def superuser(database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """Counts rows whoever they belong to, and plays a backup back."""
    con = await asyncpg.connect(database.superuser)
    yield con
    await con.close()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a key in a file."""
    return make_vault(tmp_path)


async def connected(opened: Database, vault: Vault, tenant_id: UUID) -> UUID:
    """Make a connection with a credential; return its id."""
    new = NewConnection(name="desk", ticketing_tool="postbox", config={"api_token": CANARY})
    return (await create_connection(opened, vault, postbox_plugins().registry, tenant_id, new)).connection_id


async def delivered(opened: Database, tenant_id: UUID, connection_id: UUID, state: str = "queued") -> UUID:
    """Store a delivery in a state; return its id."""
    delivery_id = uuid4()
    async with opened.tenant(tenant_id) as con:
        await con.execute(
            "insert into delivery (tenant_id, delivery_id, connection_id, endpoint_id, external_id, headers, body, "
            "proof_scheme, ticket_id, kind, action, state) "
            "values ($1, $2, $3, 'e', $5, '{}', '{}', 'postbox', $5, 'opened', 'run', $4)",
            tenant_id,
            delivery_id,
            connection_id,
            state,
            str(delivery_id),
        )
    return delivery_id


async def counts(superuser: asyncpg.Connection, tenant_id: UUID) -> dict[str, int]:
    """Return how many rows each table with a tenant_id holds of a tenant."""
    scoped = [t.name for t in (await rows.tables(superuser)).values() if t.scoped]
    return {
        name: await superuser.fetchval(f'select count(*) from "{name}" where tenant_id = $1', tenant_id)  # noqa: S608 - from the catalog
        for name in scoped
    }


async def due(opened: Database) -> list[UUID]:
    """Return what workers would take up."""
    async with opened.role("sweeper") as con:
        return [one.id for one in await claims.due(con, 10)]


@pytest.mark.promise("tenant-gone")
async def test_a_deleted_tenant_leaves_no_row(opened: Database, superuser: asyncpg.Connection, vault: Vault) -> None:
    """No table with a tenant_id keeps a row of it but its audit trail; the other tenant keeps every row."""
    ours, theirs = uuid4(), uuid4()
    known = await rows.tables(superuser)
    for tenant_id in (ours, theirs):
        await rows.fill(superuser, tenant_id, known)
    before, slug = await counts(superuser, theirs), (await tenants.get(opened, ours)).slug
    assert all((await counts(superuser, ours)).values())
    begun = await tenancy.begin_deletion(opened, vault, PAT, ours, slug)
    assert (begun.tenant.state, begun.keys_left) == ("deleting", "")
    (left,) = await erasure.unfinished(opened)
    removed = await tenancy.finish_deletion(opened, vault, left)
    assert removed >= 10
    assert {name for name, count in (await counts(superuser, ours)).items() if count} == erasure.KEPT
    assert await counts(superuser, theirs) == before
    with pytest.raises(UnknownTenant):
        await tenants.by_slug(opened, slug)


@pytest.mark.promise("tenant-gone")
async def test_secrets_of_a_deleted_tenant_open_from_no_backup(
    opened: Database, superuser: asyncpg.Connection, vault: Vault, tmp_path: Path, *, two_tenants: TwoTenants
) -> None:
    """Its sealed secrets and wrapped keys, played back from a backup beside the same key file, open no more."""
    tenant_id = two_tenants.a.tenant_id
    connection_id = await connected(opened, vault, tenant_id)
    theirs = await connected(opened, vault, two_tenants.b.tenant_id)
    backup = {name: await superuser.fetch(f'select * from "{name}"') for name in ("data_key", "secret")}  # noqa: S608 - named here
    assert await opened_secret(opened, vault, tenant_id, connection_id) == CANARY
    tenant = await tenants.by_slug(opened, "tenant-a")
    await tenancy.begin_deletion(opened, vault, PAT, tenant_id, "tenant-a")
    await tenancy.finish_deletion(opened, vault, tenant)
    await superuser.execute("insert into tenant (tenant_id, slug, name) values ($1, 'ghost', 'Ghost')", tenant_id)
    for name, kept in backup.items():
        for row in kept:
            await played_back(superuser, name, row)
    again = Vault.load(tmp_path / "key")
    with pytest.raises(AiopsError):
        await opened_secret(opened, again, tenant_id, connection_id)
    assert await opened_secret(opened, again, two_tenants.b.tenant_id, theirs) == CANARY


async def played_back(superuser: asyncpg.Connection, table: str, row: Any) -> None:
    """Insert a row of a backup again, without the columns that make themselves."""
    values = {k: v for k, v in dict(row).items() if table != "secret" or k not in ("purpose", "key_version")}
    places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await superuser.execute(
        f'insert into "{table}" ({", ".join(values)}) values ({places}) on conflict do nothing',  # noqa: S608 - named here
        *values.values(),
    )


async def opened_secret(opened: Database, vault: Vault, tenant_id: UUID, connection_id: UUID) -> str:
    """Return the credential of a connection."""
    reader = SecretReader(vault, "credentials")
    async with opened.tenant(tenant_id) as con:
        row = await con.fetchrow(
            "select owner_kind, owner_id, name, version, sealed from secret where owner_id = $1", str(connection_id)
        )
    sealed = SealedSecret(**dict(row))
    await reader.prepare(opened, tenant_id, [sealed.sealed])
    with reader.handle(tenant_id, sealed).open() as value:
        return value


KILLED = """
import os, signal, sys
from aiops_host import failpoints
left = int(sys.argv[2])
def die(name):
    global left
    left -= name == sys.argv[1]
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
failpoints.reached = die
from aiops_host.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


async def started(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python as a process of its own to its end."""
    command = [sys.executable, *arguments]
    return await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, check=False)


@pytest.mark.promise("tenant-gone")
@pytest.mark.parametrize(
    ("moment", "times"), [("keys-destroyed", 1), ("tenant-rows-removed", 1), ("tenant-rows-removed", 9)]
)
async def test_a_deletion_killed_half_way_is_finished(
    opened: Database, superuser: asyncpg.Connection, database: DatabaseUrls, tmp_path: Path, *, moment: str, times: int
) -> None:
    """Killed after its keys or between tables, the tenant is closed already; asking again takes the rest away."""
    tenant_id = uuid4()
    await rows.fill(superuser, tenant_id, await rows.tables(superuser))
    slug = (await tenants.get(opened, tenant_id)).slug
    make_vault(tmp_path)
    environment = {**os.environ, "AIOPS_DATABASE_URL": database.app, "AIOPS_KEY_FILE": str(tmp_path / "key")}
    command = ("tenants", "delete", slug, "--confirm", slug)
    killed = await started(environment, "-c", KILLED, moment, str(times), *command)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    half = await counts(superuser, tenant_id)
    assert (half["tenant"], half["endpoint"], half["membership"]) == (1, 0, 0)
    assert (await tenants.get(opened, tenant_id)).state == "deleting"
    finished = await started(environment, "-m", "aiops_host.cli.main", *command)
    assert finished.returncode == 0, finished.stderr
    assert {name for name, count in (await counts(superuser, tenant_id)).items() if count} == erasure.KEPT


async def test_only_who_types_its_slug_deletes_a_tenant(
    opened: Database, vault: Vault, two_tenants: TwoTenants
) -> None:
    """Anything else typed changes nothing; once begun, it can be neither resumed nor suspended."""
    tenant_id = two_tenants.a.tenant_id
    for typed in ("", "tenant-b", "TENANT-A"):
        with pytest.raises(DeletionRefused, match="tenant-a"):
            await tenancy.begin_deletion(opened, vault, PAT, tenant_id, typed)
    assert (await tenants.get(opened, tenant_id)).state == "active"
    await tenancy.begin_deletion(opened, vault, PAT, tenant_id, "tenant-a")
    for state in ("active", "suspended"):
        with pytest.raises(TenantDeleting):
            await tenancy.set_tenant_state(opened, PAT, tenant_id, state)  # type: ignore[arg-type]


async def test_each_act_is_in_the_trail_also_after_the_end(
    opened: Database, vault: Vault, two_tenants: TwoTenants
) -> None:
    """Who created, changed, suspended, exported and deleted a tenant stands in trails that outlive it."""
    made = await tenancy.create_tenant(opened, PAT, "acme", "Acme")
    await tenancy.change_tenant(opened, PAT, made.id, TenantChange(contact="sam@acme.example"))
    await tenancy.set_tenant_state(opened, PAT, made.id, "suspended")
    await tenancy.set_tenant_state(opened, PAT, made.id, "active")
    await tenancy.note_export(opened, PAT, made.id)
    await tenancy.begin_deletion(opened, vault, PAT, made.id, "acme")
    await tenancy.finish_deletion(opened, vault, made)
    platform = (await audit.list_(opened, PLATFORM, AuditFilters(), limit=20)).items
    own = (await audit.list_(opened, made.id, AuditFilters(), limit=20)).items
    assert [(e.act, e.actor, e.subject) for e in reversed(platform)] == [
        ("tenant.create", "pat@msp.example", "acme"),
        ("tenant.suspend", "pat@msp.example", "acme"),
        ("tenant.resume", "pat@msp.example", "acme"),
        ("tenant.delete", "pat@msp.example", "acme"),
        ("tenant.deleted", "deletion", "acme"),
    ]
    assert [e.act for e in reversed(own)] == ["tenant.change", "tenant.export"]


@pytest.mark.promise("suspension")
async def test_work_of_a_suspended_tenant_waits(opened: Database, vault: Vault, two_tenants: TwoTenants) -> None:
    """Nobody takes up its deliveries, replayed ones neither, and the list says why; resumed, all of it is due."""
    tenant_id = two_tenants.a.tenant_id
    connection_id = await connected(opened, vault, tenant_id)
    waiting = await delivered(opened, tenant_id, connection_id)
    ended = await delivered(opened, tenant_id, connection_id, "done")
    assert await due(opened) == [waiting]
    await tenancy.set_tenant_state(opened, PAT, tenant_id, "suspended")
    replayed = await replay(opened, tenant_id, ended, ReplayOptions())
    assert (replayed.state, replayed.suspended) == ("queued", True)
    assert await due(opened) == []
    listed = (await list_(opened, tenant_id, Filters())).items
    assert [(d.state, d.suspended) for d in listed] == [("queued", True), ("queued", True)]
    await tenancy.set_tenant_state(opened, PAT, tenant_id, "active")
    assert set(await due(opened)) == {waiting, ended}
    assert [d.suspended for d in (await list_(opened, tenant_id, Filters())).items] == [False, False]


@pytest.mark.promise("suspension")
async def test_what_was_about_to_be_taken_up_waits_too(opened: Database, vault: Vault, two_tenants: TwoTenants) -> None:
    """A worker that listed a delivery before its tenant was suspended, or its connection paused, does not get it."""
    tenant_id = two_tenants.a.tenant_id
    connection_id = await connected(opened, vault, tenant_id)
    listed = await delivered(opened, tenant_id, connection_id)
    keeper = Doorkeeper(opened, PAT, tenant_id)

    async def taken() -> bool:
        lease = timedelta(seconds=30)
        return await claims.claim(opened, tenant_id, listed, worker="w", lease=lease, max_crashes=5) is not None

    await tenancy.set_tenant_state(opened, PAT, tenant_id, "suspended")
    assert not await taken()
    await tenancy.set_tenant_state(opened, PAT, tenant_id, "active")
    await keeper.set_state(connection_id, "paused")
    assert not await taken()
    await keeper.set_state(connection_id, "active")
    assert await taken()


async def test_a_deleted_connection_keeps_its_history_and_nothing_else(
    opened: Database, superuser: asyncpg.Connection, vault: Vault, two_tenants: TwoTenants
) -> None:
    """Address, secrets and unfinished work go, its name is free again, and its deliveries can still be read."""
    tenant_id = two_tenants.a.tenant_id
    connection_id = await connected(opened, vault, tenant_id)
    states = ("queued", "running", "posting", "done", "ignored")
    sent = {state: await delivered(opened, tenant_id, connection_id, state) for state in states}
    keeper = Doorkeeper(opened, PAT, tenant_id)
    with pytest.raises(ConnectionKept, match="desk"):
        await keeper.delete(connection_id, "Desk")
    await keeper.delete(connection_id, "desk")
    listed = {d.id: d for d in (await list_(opened, tenant_id, Filters())).items}
    assert {listed[sent[state]].state for state in ("queued", "running", "posting")} == {"dead"}
    assert [listed[sent[state]].state for state in ("done", "ignored")] == ["done", "ignored"]
    assert {d.connection for d in listed.values()} == {"desk (deleted)"}
    assert await stored.list_(opened, tenant_id) == []
    left = await counts(superuser, tenant_id)
    assert (left["endpoint"], left["secret"], left["connection"], left["delivery"]) == (0, 0, 1, 5)
    with pytest.raises(ReplayRefused, match="was deleted"):
        await replay(opened, tenant_id, sent["done"], ReplayOptions())
    for act in (keeper.delete(connection_id, "desk"), keeper.set_state(connection_id, "active")):
        with pytest.raises(UnknownConnection):
            await act
    assert await connected(opened, vault, tenant_id) != connection_id


async def test_a_worker_that_holds_work_of_a_deleted_connection_loses_it(
    opened: Database, vault: Vault, two_tenants: TwoTenants
) -> None:
    """Its token no longer fits, so it can neither end the delivery nor post a note."""
    tenant_id = two_tenants.a.tenant_id
    connection_id = await connected(opened, vault, tenant_id)
    await delivered(opened, tenant_id, connection_id, "running")
    async with opened.tenant(tenant_id) as con:
        before = await con.fetchval("select lease_token from delivery")
        await erasure.remove_connection(con, connection_id)
        assert await con.fetchval("select lease_token from delivery") > before


async def test_shredding_is_part_of_every_finish(
    opened: Database, superuser: asyncpg.Connection, vault: Vault, two_tenants: TwoTenants
) -> None:
    """A process that died between closing a tenant and destroying its keys leaves that to whoever finishes."""
    tenant_id = two_tenants.a.tenant_id
    await connected(opened, vault, tenant_id)
    await erasure.begin(opened, tenant_id)
    (left,) = await erasure.unfinished(opened)
    await tenancy.finish_deletion(opened, vault, left)
    with pytest.raises(AiopsError):
        await vault.keys.provider.current(tenant_id)
    assert (await Upkeep(opened, vault).status())[0].tenant_id != tenant_id
    assert (await counts(superuser, tenant_id))["secret"] == 0
