"""Notes whose write was in doubt: looked at again, and of two the oldest stays."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from tests.integration.work.conftest import Board, Desk
from tests.support.databases import TenantRow

from aiops_core import EffectUnknown, TicketNotFound
from aiops_host.data import reconciles
from aiops_host.settings import Settings
from aiops_host.work.reconcile import Reconciler

HOLD = timedelta(seconds=60)


class Broken(Exception):
    """What a ticketing tool's bug looks like."""


@pytest.fixture
def doubled() -> list[int]:
    """How many notes there were too many, look by look."""
    return []


@pytest.fixture
def reconciler(board: Board, doubled: list[int]) -> Reconciler:
    """A reconciler with the settings of the product."""
    return Reconciler(database=board.database, settings=Settings(), doubled=doubled.append)


async def in_doubt(board: Board, desk: Desk, tenant: TenantRow) -> UUID:
    """Confirm a note whose worker died while sending, and let its next look be due."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    claim = await desk.take(tenant, effect)
    assert claim is not None
    desk.tool.keep(claim.ticket_id, claim.reference)
    await board.expire(tenant, "effect")
    assert await desk.settle(tenant, effect) == "confirmed"
    await make_due(board, tenant)
    return effect


async def make_due(board: Board, tenant: TenantRow) -> None:
    """Let every wait for a further look end now."""
    async with board.database.tenant(tenant.tenant_id) as con:
        await con.execute("update effect set reconcile_at = now() where reconcile_at is not null")


async def look(board: Board, desk: Desk, reconciler: Reconciler, tenant: TenantRow, effect: UUID) -> int | None:
    """Look once, as the worker does; ``None`` when no look is due."""
    found = await reconciles.claim(board.database, tenant.tenant_id, effect, hold=HOLD)
    return None if found is None else await reconciler.reconcile(found, desk.tool)


async def test_a_note_never_in_doubt_is_left_alone(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A note that was written at the first try and answered at once is not looked at again."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    assert await desk.settle(tenant, effect) == "confirmed"

    assert (await board.row(tenant, "effect", effect))["reconcile_at"] is None


async def test_of_two_notes_the_oldest_stays(
    board: Board, desk: Desk, reconciler: Reconciler, tenant: TenantRow, doubled: list[int]
) -> None:
    """A write that arrived after its note was confirmed is taken back and counted."""
    effect = await in_doubt(board, desk, tenant)
    (reference,) = desk.tool.notes["T-1"]
    desk.tool.keep("T-1", reference)

    assert await look(board, desk, reconciler, tenant, effect) == 1

    assert desk.tool.notes["T-1"] == [reference, "struck out"]
    assert doubled == [1]
    row = await board.row(tenant, "effect", effect)
    assert (row["remote_id"], row["reason"], row["reconciles"]) == ("1", None, 1)


async def test_looks_have_an_end(board: Board, desk: Desk, reconciler: Reconciler, tenant: TenantRow) -> None:
    """A note is looked at again as often as there are waits, then no more."""
    effect = await in_doubt(board, desk, tenant)
    looks = 0
    while await look(board, desk, reconciler, tenant, effect) is not None:
        looks += 1
        assert await look(board, desk, reconciler, tenant, effect) is None
        await make_due(board, tenant)

    assert looks == len(Settings().looks_again)


async def test_a_look_is_one_worker_s(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """While one worker looks no other does; should it die, the look is due again later."""
    effect = await in_doubt(board, desk, tenant)

    assert await reconciles.claim(board.database, tenant.tenant_id, effect, hold=HOLD) is not None
    assert await reconciles.claim(board.database, tenant.tenant_id, effect, hold=HOLD) is None
    await make_due(board, tenant)
    assert await reconciles.claim(board.database, tenant.tenant_id, effect, hold=HOLD) is not None


async def test_a_note_that_may_not_be_deleted_is_told(
    board: Board, desk: Desk, reconciler: Reconciler, tenant: TenantRow
) -> None:
    """Where notes cannot be deleted the note says what a person has to do."""
    desk.tool.deletable = False
    effect = await in_doubt(board, desk, tenant)
    desk.tool.keep("T-1", desk.tool.notes["T-1"][0])

    assert await look(board, desk, reconciler, tenant, effect) == 1

    assert "on the ticket 2 times" in str((await board.row(tenant, "effect", effect))["reason"])


@pytest.mark.parametrize(("error", "again"), [(TicketNotFound("gone"), False), (Broken(), True)])
async def test_a_look_that_fails(
    board: Board,
    desk: Desk,
    reconciler: Reconciler,
    tenant: TenantRow,
    error: Exception,
    again: bool,
) -> None:
    """A look that fails is made again at the next time, unless the ticket is gone."""
    effect = await in_doubt(board, desk, tenant)
    desk.tool.blind = error

    assert await look(board, desk, reconciler, tenant, effect) == 0

    assert ((await board.row(tenant, "effect", effect))["reconcile_at"] is not None) is again


async def test_due_looks_are_found_by_the_sweeper(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """The sweeper sees which notes to look at again, but none of a paused connection."""
    effect = await in_doubt(board, desk, tenant)
    async with board.database.role("sweeper") as con:
        assert await reconciles.due(con, 10) == [(tenant.tenant_id, effect)]
    async with board.database.tenant(tenant.tenant_id) as con:
        await con.execute("update connection set state = 'paused'")
    async with board.database.role("sweeper") as con:
        assert await reconciles.due(con, 10) == []


async def test_doubt_that_ends_without_a_double(
    board: Board, desk: Desk, reconciler: Reconciler, tenant: TenantRow, doubled: list[int]
) -> None:
    """A note whose answer was lost is looked at again and found to be single."""
    _, effect = await board.planned(tenant, await board.connection(tenant))

    async def lost(tool: object, ticket: str, reference: str) -> None:
        desk.tool.keep(ticket, reference)
        raise EffectUnknown("reset")

    desk.tool.script = [lost]
    assert await desk.settle(tenant, effect) == "later"
    assert await desk.settle(tenant, effect) == "confirmed"
    await make_due(board, tenant)

    assert await look(board, desk, reconciler, tenant, effect) == 0
    assert doubled == []
    assert len(desk.tool.notes["T-1"]) == 1
