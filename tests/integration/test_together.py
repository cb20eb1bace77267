"""Work of one tenant that shares a transaction: each gets its own result, none pays for another."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest
from tests.support.databases import TwoTenants

from aiops_host.data.session import Connection, Database, TenantMismatch, current_session

MANY = 40


class Refused(Exception):
    """What one piece of work raises."""


def slug(n: int) -> Callable[[Connection], Awaitable[int]]:
    """Return work that stores an article and returns its transaction."""

    async def work(con: Connection) -> int:
        await con.execute(
            "insert into article (slug, title, body, tags, digest) values ($1, $1, '', '{}', '')", f"a-{n}"
        )
        found: int = await con.fetchval("select txid_current()")
        return found

    return work


async def slugs(opened: Database, tenants: TwoTenants, which: int = 0) -> set[str]:
    """Return the articles stored for a tenant."""
    async with opened.tenant(tenants[which].tenant_id) as con:
        return {row["slug"] for row in await con.fetch("select slug from article")}


async def test_what_comes_together_is_committed_together(opened: Database, two_tenants: TwoTenants) -> None:
    """Forty at once take far fewer transactions than forty; one that comes alone has its own."""
    tenant = two_tenants[0].tenant_id
    found = await asyncio.gather(*(opened.together(tenant, slug(n)) for n in range(MANY)))
    alone = await opened.together(tenant, slug(MANY))

    assert len(set(found)) < MANY / 4
    assert alone not in found
    assert len(await slugs(opened, two_tenants)) == MANY + 1


async def test_one_that_fails_costs_the_others_nothing(opened: Database, two_tenants: TwoTenants) -> None:
    """What raises is rolled back alone, whether it was PostgreSQL or the work itself that refused."""

    async def refused(con: Connection) -> int:
        await slug(99)(con)
        raise Refused

    tenant = two_tenants[0].tenant_id
    works = [slug(0), slug(1), refused, slug(1), slug(2)]
    first, _, third, *twins = await asyncio.gather(
        *(opened.together(tenant, work) for work in works), return_exceptions=True
    )

    assert isinstance(first, int)
    assert isinstance(third, Refused)
    assert "UniqueViolationError" in {type(one).__name__ for one in twins}
    assert await slugs(opened, two_tenants) == {"a-0", "a-1", "a-2"}


async def test_who_no_longer_waits_holds_nobody_up(opened: Database, two_tenants: TwoTenants) -> None:
    """A cancelled caller's work is committed or not; those beside it get their results."""
    tenant = two_tenants[0].tenant_id
    tasks = [asyncio.create_task(opened.together(tenant, slug(n))) for n in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[3].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(one, int) for one in found] == [False, True, True, False, True]
    assert {"a-1", "a-2", "a-4"} <= await slugs(opened, two_tenants)


async def test_tenants_do_not_share_a_transaction(opened: Database, two_tenants: TwoTenants) -> None:
    """Work of two tenants at the same moment runs as each tenant, in transactions of its own."""
    works = [opened.together(t.tenant_id, slug(n)) for n in range(4) for t in two_tenants]
    found = await asyncio.gather(*works)

    assert set(found[::2]).isdisjoint(found[1::2])
    assert await slugs(opened, two_tenants) == await slugs(opened, two_tenants, 1) == {f"a-{n}" for n in range(4)}


async def test_an_open_session_is_joined(opened: Database, two_tenants: TwoTenants) -> None:
    """Inside a session the work is part of its transaction, and another tenant's is refused."""
    a, b = two_tenants

    async def broken_off() -> None:
        async with opened.tenant(a.tenant_id):
            assert await opened.together(a.tenant_id, slug(1)) > 0
            with pytest.raises(TenantMismatch):
                await opened.together(b.tenant_id, slug(1))
            raise Refused

    with pytest.raises(Refused):
        await broken_off()
    assert await slugs(opened, two_tenants) == await slugs(opened, two_tenants, 1) == set()


async def test_whoever_comes_first_lends_nothing_to_the_others(opened: Database, two_tenants: TwoTenants) -> None:
    """The work sees the tenant's session and nothing of the task that brought it, such as ids for the log."""
    own: ContextVar[str] = ContextVar("own")
    own.set("the first caller's")

    async def looks(con: Connection) -> tuple[str | None, bool, str]:
        tenant: str = await con.fetchval("select current_setting('app.current_tenant_id')")
        return own.get(None), current_session() is not None, tenant

    tenant = two_tenants[0].tenant_id
    found = await asyncio.gather(*(opened.together(tenant, looks) for _ in range(3)))

    assert set(found) == {(None, True, str(tenant))}
    assert current_session() is None


async def transaction(con: Connection) -> int:
    """Return the transaction."""
    found: int = await con.fetchval("select txid_current()")
    return found


async def test_what_is_read_in_one_turn_shares_a_session(opened: Database, two_tenants: TwoTenants) -> None:
    """The tools of one run cost one session; of many runs a few share one, and no tenant shares with another."""
    a, b = (tenant.tenant_id for tenant in two_tenants)
    found = await asyncio.gather(*(opened.reading(a, transaction) for _ in range(6)), opened.reading(b, transaction))

    assert len(set(found[:4])) == len(set(found[4:6])) == 1
    assert len(set(found)) == 3


async def test_a_turn_waits_for_no_other(opened: Database, two_tenants: TwoTenants) -> None:
    """What is read later does not stand behind what was asked for before."""
    tenant = two_tenants[0].tenant_id
    later = asyncio.Event()

    async def patient(con: Connection) -> int:
        await later.wait()
        return await transaction(con)

    first = asyncio.create_task(opened.reading(tenant, patient))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        second = await opened.reading(tenant, transaction)
        later.set()
        assert await first != second


async def test_a_read_that_fails_costs_the_others_nothing(opened: Database, two_tenants: TwoTenants) -> None:
    """What PostgreSQL refuses for one tool is nothing to the tool beside it."""

    async def refused(con: Connection) -> int:
        return await con.fetchval("select 1 / 0")  # type: ignore[no-any-return]

    tenant = two_tenants[0].tenant_id
    reads = (opened.reading(tenant, work) for work in (transaction, refused, transaction))
    first, failed, last = await asyncio.gather(*reads, return_exceptions=True)

    assert isinstance(first, int)
    assert isinstance(last, int)
    assert type(failed).__name__ == "DivisionByZeroError"


async def test_what_nobody_waits_for_is_broken_off(opened: Database, two_tenants: TwoTenants) -> None:
    """A read whose tools were all given up does not hold a connection until it is done."""
    began = asyncio.Event()

    async def endless(con: Connection) -> int:
        began.set()
        await con.fetchval("select pg_sleep(3600)")
        return 0

    tenant = two_tenants[0].tenant_id
    tasks = [asyncio.create_task(opened.reading(tenant, work)) for work in (endless, transaction)]
    await began.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    async with asyncio.timeout(30):
        while opened.usage()[0]:  # noqa: ASYNC110 - a pool tells nobody
            await asyncio.sleep(0.01)
    async with opened.role("app") as con:
        assert await con.fetchval("select count(*) from pg_stat_activity where query like '%pg_sleep(3600)%'") == 1


async def test_a_read_joins_an_open_session(opened: Database, two_tenants: TwoTenants) -> None:
    """Inside a session what is read belongs to its transaction."""
    tenant = two_tenants[0].tenant_id
    async with opened.tenant(tenant) as con:
        assert await opened.reading(tenant, transaction) == await transaction(con)
