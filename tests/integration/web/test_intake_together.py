"""Webhooks that arrive at the same moment are committed together, and answered each for itself."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from tests.integration.web.conftest import Door

from aiops_host.data import intake
from aiops_host.data.intake import Accepted, EndpointGone, NewDelivery
from aiops_host.data.intake_writer import IntakeWriter
from aiops_host.data.session import Database, DatabaseDown

MANY = 40


def delivery(door: Door, name: str) -> NewDelivery:
    """Return a webhook as the receiver hands it on."""
    return NewDelivery(
        tenant_id=door.tenant.tenant_id,
        connection_id=door.connection.connection_id,
        endpoint_id=door.connection.endpoint_id,
        external_id=name,
        dedup_key=f"key of {name}",
        headers={"webhook-id": name},
        body=name.encode(),
        proof_scheme="test",
        signed_at=None,
        ticket_id=name,
        kind="opened",
        actor_id=None,
        revision=None,
        traceparent=f"00-{1:032x}-{1:016x}-01",
        action="run",
        state="queued",
        reason=None,
    )


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of what was committed together, as it happens."""
    sizes: list[int] = []
    accept = intake.accept

    async def counted(database: Database, tenant_id: UUID, new: list[NewDelivery]) -> list[Accepted]:
        sizes.append(len(new))
        return await accept(database, tenant_id, new)

    monkeypatch.setattr(intake, "accept", counted)
    return sizes


async def stored(opened: Database, door: Door) -> dict[str, UUID]:
    """Return the tenant's deliveries by their sender's id."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        return {r["external_id"]: r["delivery_id"] for r in await con.fetch("select * from delivery")}


async def test_each_is_answered_with_its_own_row(opened: Database, door: Door, batches: list[int]) -> None:
    """Forty webhooks at once take fewer commits than forty, and each answer names the row with its own content."""
    writer = IntakeWriter(opened)
    accepted = await asyncio.gather(*(writer.accept(delivery(door, f"T-{n}")) for n in range(MANY)))

    assert await stored(opened, door) == {f"T-{n}": a.delivery_id for n, a in enumerate(accepted)}
    assert all(a.fresh for a in accepted)
    assert sum(batches) == MANY
    assert len(batches) < MANY / 2


async def test_one_that_comes_alone_does_not_wait(opened: Database, door: Door, batches: list[int]) -> None:
    """A webhook without company is committed by itself."""
    await IntakeWriter(opened).accept(delivery(door, "T-1"))

    assert batches == [1]


async def test_duplicates_side_by_side_share_one_row(opened: Database, door: Door) -> None:
    """Of copies in one commit, by the sender's id or by ticket and revision, one is fresh and all name its row."""
    writer = IntakeWriter(opened)
    first = delivery(door, "T-1")
    other = replace(delivery(door, "T-9"), dedup_key=first.dedup_key)
    accepted = await asyncio.gather(*(writer.accept(new) for new in (first, first, other, delivery(door, "T-2"))))

    assert [a.fresh for a in accepted].count(True) == 2
    assert len({a.delivery_id for a in accepted[:3]}) == 1
    assert len(await stored(opened, door)) == 2


async def test_a_duplicate_of_an_earlier_one_is_found(opened: Database, door: Door) -> None:
    """Among new ones, a copy of a delivery stored long ago is answered with that one's id."""
    writer = IntakeWriter(opened)
    first = await writer.accept(delivery(door, "T-1"))
    accepted = await asyncio.gather(*(writer.accept(delivery(door, f"T-{n}")) for n in (2, 1, 3)))

    assert [a.fresh for a in accepted] == [True, False, True]
    assert accepted[1].delivery_id == first.delivery_id


async def test_one_that_is_refused_costs_the_others_nothing(opened: Database, door: Door) -> None:
    """A delivery whose connection is gone is refused; those committed together with it are stored."""
    writer = IntakeWriter(opened)
    gone = replace(delivery(door, "T-gone"), connection_id=uuid4())
    first, *others = await asyncio.gather(
        *(writer.accept(new) for new in (gone, delivery(door, "T-1"), delivery(door, "T-2"))), return_exceptions=True
    )

    assert isinstance(first, EndpointGone)
    assert all(isinstance(a, Accepted) and a.fresh for a in others)
    assert set(await stored(opened, door)) == {"T-1", "T-2"}


async def test_tenants_do_not_share_a_commit(opened: Database, doors: tuple[Door, Door], batches: list[int]) -> None:
    """Webhooks of two tenants at the same moment go to their own tenant, in commits of their own."""
    writer = IntakeWriter(opened)
    await asyncio.gather(*(writer.accept(delivery(door, f"T-{n}")) for n in range(4) for door in doors))

    assert max(batches) <= 4
    for door in doors:
        assert set(await stored(opened, door)) == {f"T-{n}" for n in range(4)}


async def test_another_tenants_connection_is_not_to_be_had(opened: Database, doors: tuple[Door, Door]) -> None:
    """A delivery for a connection of another tenant is refused like one for no connection at all."""
    a, b = doors
    mixed = replace(delivery(a, "T-1"), connection_id=b.connection.connection_id)
    with pytest.raises(EndpointGone):
        await IntakeWriter(opened).accept(mixed)

    assert await stored(opened, a) == await stored(opened, b) == {}


async def test_an_absent_database_is_told_to_each(opened: Database, door: Door) -> None:
    """While PostgreSQL is away every sender hears it, and the next one is stored once it is back."""
    writer = IntakeWriter(opened)

    async def away(*_: object) -> list[Accepted]:
        raise DatabaseDown("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "accept", away)
        failed = await asyncio.gather(
            *(writer.accept(delivery(door, f"T-{n}")) for n in range(3)), return_exceptions=True
        )
    accepted = await writer.accept(delivery(door, "T-1"))

    assert [type(one) for one in failed] == [DatabaseDown] * 3
    assert accepted.fresh
