"""The audit trail: appended to, never changed, and found out where somebody changed it all the same."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser, savepoint

from aiops_host.data import audit as stored
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.session import Database
from aiops_host.trust.audit import MAX_WAITING, Actor, Decryptions, Opened, person, record

PAT = person("pat@example.com", UUID(int=7))


@pytest.fixture
async def chain(opened: Database, two_tenants: TwoTenants) -> UUID:
    """The chain of tenant a with six entries."""
    for number in range(6):
        await _record(opened, two_tenants.a.tenant_id, f"thing-{number}")
    return two_tenants.a.tenant_id


@pytest.fixture
async def owner(database: DatabaseUrls) -> AsyncIterator[asyncpg.Connection]:
    """A superuser past the trigger: what no part of the product can do."""
    con = await asyncpg.connect(database.superuser)
    await con.execute("set session_replication_role = replica")
    yield con
    await con.close()


async def _record(where: Database, tenant_id: UUID | None, subject: str, act: str = "thing.change") -> None:
    await record(where, tenant_id=tenant_id, actor=PAT, act=act, subject=subject, details={"why": "because"})


async def _subjects(database: Database, chain: UUID) -> list[str]:
    page = await stored.list_(database, chain, AuditFilters(), limit=200)
    return [entry.subject for entry in page.items]


async def test_an_act_is_kept_with_who_did_it(opened: Database, two_tenants: TwoTenants) -> None:
    """An entry names actor, act, subject and details, and only its own tenant reads it."""
    await _record(opened, two_tenants.a.tenant_id, "x\0y" + "é" * 600)

    (entry,) = (await stored.list_(opened, two_tenants.a.tenant_id, AuditFilters(), limit=5)).items
    assert (entry.number, entry.actor, entry.actor_id, entry.act) == (1, PAT.name, PAT.id, "thing.change")
    assert entry.details == {"why": "because"}
    assert entry.subject.startswith("x y")
    assert len(entry.subject) == 500
    assert await _subjects(opened, two_tenants.b.tenant_id) == []
    assert await _subjects(opened, PLATFORM) == []


@pytest.mark.promise("audit-whole")
async def test_an_act_and_its_entry_stand_or_fall_together(opened: Database, two_tenants: TwoTenants) -> None:
    """What is rolled back leaves no entry and no gap; the platform's chain can be written from a tenant's session."""
    with contextlib.suppress(ZeroDivisionError):
        async with opened.tenant(two_tenants.a.tenant_id) as con:
            await record(con, tenant_id=two_tenants.a.tenant_id, actor=PAT, act="thing.change", subject="never")
            raise ZeroDivisionError
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        await record(con, tenant_id=two_tenants.a.tenant_id, actor=PAT, act="thing.change", subject="kept")
        await record(con, tenant_id=None, actor=PAT, act="thing.change", subject="platform's")
        assert await con.fetchval("select slug from tenant") == two_tenants.a.slug

    assert await _subjects(opened, two_tenants.a.tenant_id) == ["kept"]
    assert await _subjects(opened, PLATFORM) == ["platform's"]
    assert (await stored.check(opened, two_tenants.a.tenant_id)).number == 1


async def test_no_session_writes_into_another_tenants_trail(opened: Database, two_tenants: TwoTenants) -> None:
    """The session of one tenant is refused the trail of another."""
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with savepoint(con):
                await record(con, tenant_id=two_tenants.b.tenant_id, actor=PAT, act="thing.change", subject="forged")
    assert await _subjects(opened, two_tenants.b.tenant_id) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set subject = 'other'",
        "delete from audit_entry",
        "truncate audit_entry",
        "insert into audit_entry select * from audit_entry",
        "update audit_head set number = 0",
        "delete from audit_head",
        "alter table audit_entry disable trigger append_only",
    ],
)
@pytest.mark.attack(35)
@pytest.mark.promise("audit-whole")
async def test_the_application_cannot_change_the_trail(opened: Database, chain: UUID, statement: str) -> None:
    """The application's role may neither change nor remove an entry, nor add one past the function."""
    async with opened.tenant(chain) as con:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with savepoint(con):
                await con.execute(statement)


@pytest.mark.parametrize("statement", ["update audit_entry set subject = 'other'", "delete from audit_entry"])
@pytest.mark.attack(35)
async def test_even_the_owner_is_stopped(database: DatabaseUrls, opened: Database, chain: UUID, statement: str) -> None:
    """A careless statement of a superuser fails too: the trigger has to be put aside on purpose."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever appended"):
        await execute_as_superuser(database.superuser, statement)
    assert (await stored.check(opened, chain)).broken is None


TAMPERED = {
    "changed subject": ("update audit_entry set subject = 'other' where number = 3", "entry 3 does not fit"),
    "changed time": ("update audit_entry set at = at - interval '1 microsecond' where number = 2", "entry 2 does not"),
    "changed actor": ("update audit_entry set actor = 'mallory' where number = 6", "entry 6 does not fit"),
    "changed details": ("update audit_entry set details = '{}' where number = 1", "entry 1 does not fit"),
    "moved text": (
        "update audit_entry set act = 'thing.chang', subject = 'e' || subject where number = 4",
        "entry 4 does not fit",
    ),
    "removed": ("delete from audit_entry where number = 3", "entry 3 is missing"),
    "first removed": ("delete from audit_entry where number = 1", "entry 1 is missing"),
    "last removed": ("delete from audit_entry where number = 6", "the head knows 6 entries, the chain ends with 5"),
    "all removed": ("delete from audit_entry", "the head knows 6 entries, the chain ends with 0"),
    "head removed": ("delete from audit_head", "the head knows 0 entries, the chain ends with 6"),
    "head turned back": ("update audit_head set number = 5", "the head knows 5 entries, the chain ends with 6"),
    "head's hash": ("update audit_head set hash = ''", "the head's hash is not that of entry 6"),
    "added": (
        "insert into audit_entry select tenant_id, 7, at, actor_kind, actor, actor_id, act, subject, details, hash "
        "from audit_entry where number = 6",
        "entry 7 does not fit",
    ),
    "swapped": (
        "update audit_entry set number = case number when 2 then 1003 when 3 then 1002 end where number in (2, 3); "
        "update audit_entry set number = number - 1000 where number > 1000",
        "entry 2 does not fit",
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
@pytest.mark.attack(35, figure="14 ways to tamper")
@pytest.mark.promise("audit-whole", figure="14 ways to tamper")
async def test_tampering_is_found(opened: Database, owner: asyncpg.Connection, chain: UUID, how: str) -> None:
    """A changed, removed, added or moved entry, and a shortened end, are each found and named."""
    statement, expected = TAMPERED[how]
    assert (await stored.check(opened, chain)).broken is None
    await owner.execute(statement)

    assert expected in str((await stored.check(opened, chain)).broken)


@pytest.mark.attack(35)
async def test_a_chain_written_anew_is_found_by_a_noted_head(
    opened: Database, owner: asyncpg.Connection, chain: UUID
) -> None:
    """Whoever owns the database can rewrite a chain with its head; a head noted elsewhere still tells."""
    noted = await stored.check(opened, chain)
    await owner.execute("delete from audit_entry; delete from audit_head")
    for number in range(8):
        await _record(opened, chain, f"forged-{number}")

    assert (await stored.check(opened, chain)).broken is None
    found = await stored.check(opened, chain, (noted.number, noted.hash))
    assert "entry 6 has another hash than the one noted" in str(found.broken)
    beyond = await stored.check(opened, chain, (9, noted.hash))
    assert "entry 9 was noted" in str(beyond.broken)


async def test_a_chain_has_no_forks(opened: Database, two_tenants: TwoTenants) -> None:
    """Forty acts at once, two tenants and the platform: each chain is whole and without gaps."""
    chains = [two_tenants.a.tenant_id, two_tenants.b.tenant_id, None]
    async with asyncio.TaskGroup() as group:
        for number in range(42):
            group.create_task(_record(opened, chains[number % 3], f"thing-{number}"))

    for chain in chains:
        report = await stored.check(opened, chain or PLATFORM)
        assert (report.number, report.entries, report.broken) == (14, 14, None)


async def test_lists_page_and_filter(opened: Database, chain: UUID) -> None:
    """Newest first, page by page, by act, kind of act, actor and subject."""
    await _record(opened, chain, "other", act="person.login")
    first = await stored.list_(opened, chain, AuditFilters(), limit=4)
    rest = await stored.list_(opened, chain, AuditFilters(), limit=4, cursor=first.next)
    assert [e.number for e in (*first.items, *rest.items)] == [7, 6, 5, 4, 3, 2, 1]
    assert rest.next is None

    async def numbers(**wanted: str) -> list[int]:
        return [e.number for e in (await stored.list_(opened, chain, AuditFilters(**wanted), limit=200)).items]

    assert await numbers(act="person.login") == await numbers(act="person.") == [7]
    assert await numbers(act="person") == []
    assert await numbers(subject="thing-2") == [3]
    assert len(await numbers(actor=PAT.name)) == len(await numbers(actor=PAT.id)) == 7


async def test_the_trail_outlives_its_tenant(opened: Database, owner: asyncpg.Connection, chain: UUID) -> None:
    """A deleted tenant's chain is still listed and still checked."""
    await owner.execute("delete from tenant")

    assert chain in await stored.chains(opened)
    assert (await stored.check(opened, chain)).number == 6


async def test_decryptions_are_written_in_batches(opened: Database, two_tenants: TwoTenants) -> None:
    """What was decrypted is written once per secret with how often, and without the secret; the end writes the rest."""
    a, b = two_tenants.a.tenant_id, two_tenants.b.tenant_id
    decryptions = Decryptions("worker")
    async with decryptions.writing(opened):
        for _ in range(3):
            decryptions.note(Opened(a, "connection", "c1", "api_token", 2))
        decryptions.note(Opened(b, "llm-backend", "litellm", "api_key", 1))

    (entry,) = (await stored.list_(opened, a, AuditFilters(act="secret.decrypt"), limit=5)).items
    assert (entry.actor_kind, entry.actor, entry.subject) == ("part", "worker", "connection:c1")
    assert entry.details == {"name": "api_token", "version": "2", "times": "3"}
    assert await _subjects(opened, b) == ["llm-backend:litellm"]
    await decryptions.flush(opened)
    assert len(await _subjects(opened, a)) == 1


async def test_decryptions_wait_for_the_database(opened: Database, two_tenants: TwoTenants) -> None:
    """A batch that could not be written is kept and written later, and its number of waiting secrets is bounded."""
    tenants = [two_tenants.a.tenant_id, two_tenants.b.tenant_id]
    decryptions = Decryptions("worker")
    for tenant_id in tenants:
        decryptions.note(Opened(tenant_id, "connection", "c1", "api_token", 1))

    async with opened.tenant(uuid4()):
        with pytest.raises(Exception, match="another tenant"):
            await decryptions.flush(opened)
    await decryptions.flush(opened)

    assert [await _subjects(opened, t) for t in tenants] == [["connection:c1"], ["connection:c1"]]
    for number in range(MAX_WAITING + 5):
        decryptions.note(Opened(tenants[0], "connection", "c1", "api_token", number))
    assert decryptions.lost == 5


async def test_an_act_is_named_noun_and_verb(opened: Database, two_tenants: TwoTenants) -> None:
    """An act of another form is refused by the database."""
    with pytest.raises(asyncpg.CheckViolationError):
        await record(opened, tenant_id=two_tenants.a.tenant_id, actor=Actor("part", "x"), act="Changed it", subject="y")
