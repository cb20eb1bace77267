"""Who works on a delivery: claims, leases, fences, turns."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.integration.work.conftest import LEASE, Board
from tests.support.databases import TenantRow, TwoTenants

from aiops_core import RemoteRef
from aiops_host.data import claims, effects
from aiops_host.data.claims import Due, LeaseLost, Quarantined
from aiops_host.work.worker import own_name


async def test_one_of_many_claims_wins(board: Board, tenant: TenantRow) -> None:
    """Of forty workers that claim one delivery at once, one gets it."""
    delivery = await board.delivery(tenant, await board.connection(tenant))

    got = await asyncio.gather(*(board.claim(tenant, delivery, f"w{n}") for n in range(40)))

    assert sum(claim is not None for claim in got) == 1


async def test_a_claim_counts_the_attempt(board: Board, tenant: TenantRow) -> None:
    """A claim is the delivery's next attempt and is written down as one."""
    delivery = await board.delivery(tenant, await board.connection(tenant))

    claim = await board.claim(tenant, delivery)

    assert claim is not None
    assert (claim.attempt, claim.tries) == (1, 1)
    async with board.database.tenant(tenant.tenant_id) as con:
        assert await con.fetchval("select number from attempt where delivery_id = $1", delivery) == 1


async def test_a_dead_workers_delivery_is_taken_over(board: Board, tenant: TenantRow) -> None:
    """When a lease has ended another worker takes the delivery, and the first can write nothing any more."""
    delivery = await board.delivery(tenant, await board.connection(tenant))
    first = await board.claim(tenant, delivery, "dead")
    assert first is not None
    assert await board.claim(tenant, delivery, "early") is None
    await board.expire(tenant, "delivery")

    second = await board.claim(tenant, delivery, "alive")

    assert second is not None
    assert second.token > first.token
    with pytest.raises(LeaseLost):
        async with board.database.tenant(tenant.tenant_id) as con:
            await claims.move(con, first, state="done", outcome="late")
    assert await claims.renew(board.database, tenant.tenant_id, [first], LEASE) == set()
    assert await claims.renew(board.database, tenant.tenant_id, [first, second], LEASE) == {delivery}
    assert (await board.row(tenant, "delivery", delivery))["state"] == "running"


async def test_a_delivery_that_kills_its_workers_is_quarantined(board: Board, tenant: TenantRow) -> None:
    """After five workers died on it a delivery is set aside with the reason, and not taken up again."""
    delivery = await board.delivery(tenant, await board.connection(tenant))
    for number in range(5):
        assert await board.claim(tenant, delivery, f"w{number}") is not None
        await board.expire(tenant, "delivery")

    with pytest.raises(Quarantined):
        await board.claim(tenant, delivery)

    row = await board.row(tenant, "delivery", delivery)
    assert row["state"] == "quarantined"
    assert "died 5 times" in str(row["reason"])
    assert await board.claim(tenant, delivery) is None


async def test_a_finished_attempt_forgets_crashes(board: Board, tenant: TenantRow) -> None:
    """Only deaths in a row count: an attempt that ended by itself starts the count anew."""
    delivery = await board.delivery(tenant, await board.connection(tenant))
    for number in range(4):
        await board.claim(tenant, delivery, f"w{number}")
        await board.expire(tenant, "delivery")
    claim = await board.claim(tenant, delivery)
    assert claim is not None
    async with board.database.tenant(tenant.tenant_id) as con:
        await claims.requeue(con, claim, delay=timedelta(0), reason="busy")

    assert await board.claim(tenant, delivery) is not None


async def test_one_run_per_ticket_at_a_time(board: Board, tenant: TenantRow) -> None:
    """While a ticket is worked on its next delivery waits, and is due once the first has ended."""
    connection = await board.connection(tenant)
    first, second = [await board.delivery(tenant, connection, "T-9") for _ in range(2)]
    claim = await board.claim(tenant, first)
    assert claim is not None

    assert await board.claim(tenant, second) is None
    async with board.database.tenant(tenant.tenant_id) as con:
        await claims.move(con, claim, state="done", outcome="done")
        await claims.release_ticket(con, tenant.tenant_id, connection, "T-9")

    assert await board.claim(tenant, second) is not None


async def test_racing_claims_of_one_ticket(board: Board, tenant: TenantRow) -> None:
    """Of thirty deliveries about one ticket, claimed at the same moment, one runs."""
    connection = await board.connection(tenant)
    deliveries = [await board.delivery(tenant, connection, "T-9") for _ in range(30)]

    got = await asyncio.gather(*(board.claim(tenant, d) for d in deliveries))

    assert sum(claim is not None for claim in got) == 1


async def test_the_same_ticket_id_of_another_connection_runs(board: Board, two_tenants: TwoTenants) -> None:
    """Ticket ids belong to their connection: the same id elsewhere is another ticket."""
    for tenant in two_tenants:
        for _ in range(2):
            delivery = await board.delivery(tenant, await board.connection(tenant), "T-9")
            assert await board.claim(tenant, delivery) is not None


async def test_a_retry_waits_for_its_time(board: Board, tenant: TenantRow) -> None:
    """A delivery put back is not to be had before its delay has passed."""
    delivery = await board.delivery(tenant, await board.connection(tenant))
    claim = await board.claim(tenant, delivery)
    assert claim is not None
    async with board.database.tenant(tenant.tenant_id) as con:
        await claims.requeue(con, claim, delay=timedelta(hours=1), reason="busy")

    assert await board.claim(tenant, delivery) is None
    await board.make_due(tenant)
    again = await board.claim(tenant, delivery)

    assert again is not None
    assert (again.attempt, again.tries) == (2, 2)


@pytest.mark.attack(34)
async def test_tenants_take_turns(board: Board, two_tenants: TwoTenants) -> None:
    """A tenant with a few deliveries is served among the first, however many another one has."""
    noisy, quiet = two_tenants
    loud = await board.connection(noisy)
    for _ in range(40):
        await board.delivery(noisy, loud)
    calm = await board.connection(quiet)
    wanted = {await board.delivery(quiet, calm) for _ in range(3)}

    due = await _due(board, 6)

    assert {d.id for d in due if d.tenant_id == quiet.tenant_id} == wanted


@pytest.mark.attack(34)
async def test_who_runs_much_waits(board: Board, two_tenants: TwoTenants) -> None:
    """Work already running counts: the tenant with less of it comes first."""
    busy, idle = two_tenants
    connection = await board.connection(busy)
    for _ in range(4):
        await board.claim(busy, await board.delivery(busy, connection))
    await board.delivery(busy, connection)
    late = await board.delivery(idle, await board.connection(idle))

    assert (await _due(board, 1))[0].id == late


@pytest.mark.parametrize(
    "hold",
    [
        "update tenant set state = 'suspended'",
        "update connection set state = 'paused'",
        "update connection set wait_until = now() + interval '1 hour'",
    ],
)
async def test_held_work_is_not_due(board: Board, tenant: TenantRow, hold: str) -> None:
    """Work of a suspended tenant, a paused connection or one asked to wait stays where it is."""
    await board.delivery(tenant, await board.connection(tenant))
    assert len(await _due(board, 5)) == 1

    async with board.database.tenant(tenant.tenant_id) as con:
        await con.execute(hold)

    assert await _due(board, 5) == []


async def test_the_sweeper_sees_no_content(board: Board, tenant: TenantRow) -> None:
    """The role that looks for due work cannot read what the work is about."""
    await board.delivery(tenant, await board.connection(tenant))

    for column in ("body", "headers", "ticket_id", "reason"):
        with pytest.raises(Exception, match="permission denied"):
            async with board.database.role("sweeper") as con:
                await con.fetch(f"select {column} from delivery")  # noqa: S608 - a column of ours


async def _due(board: Board, limit: int) -> list[Due]:
    async with board.database.role("sweeper") as con:
        return await claims.due(con, limit)


async def test_a_ticket_s_next_delivery_waits_for_the_note(board: Board, tenant: TenantRow) -> None:
    """While a ticket's note is on its way the next delivery waits, or an older note could come last."""
    connection = await board.connection(tenant)
    _, effect = await board.planned(tenant, connection, "T-9")
    following = await board.delivery(tenant, connection, "T-9")
    assert await board.claim(tenant, following) is None

    claimed = await effects.claim(board.database, tenant.tenant_id, effect, worker="w", lease=LEASE)
    assert claimed is not None
    await effects.confirm(board.database, claimed, RemoteRef(id="1", url="https://paper.example/1"))

    assert await board.claim(tenant, following) is not None


async def test_suspects_are_told_apart(board: Board, tenant: TenantRow) -> None:
    """A delivery that saw two workers die is named as a suspect, and left out where none is asked for."""
    connection = await board.connection(tenant)
    once, twice = [await board.delivery(tenant, connection) for _ in range(2)]
    for delivery, deaths in ((once, 1), (twice, 2)):
        for number in range(deaths):
            assert await board.claim(tenant, delivery, f"w{number}") is not None
            await board.expire(tenant, "delivery")

    async with board.database.role("sweeper") as con:
        assert {d.id: d.suspect for d in await claims.due(con, 10)} == {once: False, twice: True}
        assert [d.id for d in await claims.due(con, 10, suspects=False)] == [once]


async def test_what_a_dead_worker_held_keeps_its_place(board: Board, tenant: TenantRow) -> None:
    """A delivery whose worker died comes before those that arrived while it was held."""
    connection = await board.connection(tenant)
    first = await board.delivery(tenant, connection)
    assert await board.claim(tenant, first) is not None
    second = await board.delivery(tenant, connection)
    await board.expire(tenant, "delivery")

    async with board.database.role("sweeper") as con:
        assert [d.id for d in await claims.due(con, 10)] == [first, second]


async def test_a_busy_worker_is_not_a_dead_one(board: Board, tenant: TenantRow) -> None:
    """A worker that was too busy to renew its lease and takes its delivery up again did not die over it."""
    delivery = await board.delivery(tenant, await board.connection(tenant))
    for _ in range(7):
        assert await board.claim(tenant, delivery, "busy") is not None
        await board.expire(tenant, "delivery")

    assert (await board.row(tenant, "delivery", delivery))["crashes"] == 0


def test_a_worker_started_anew_has_another_name() -> None:
    """A container's next worker has its predecessor's host and process id, and must not pass for it."""
    assert len({own_name() for _ in range(20)}) == 20
