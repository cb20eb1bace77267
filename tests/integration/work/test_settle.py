"""An effect's way to its ticket: one note, whatever the ticketing tool and the worker do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.integration.work.conftest import Board, Desk, PaperTool
from tests.support.databases import TenantRow

from aiops_core import (
    AuthenticationFailed,
    EffectUnknown,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_host.data.claims import LeaseLost

Act = Callable[[PaperTool, str, str], Awaitable[None]]


def refusing(error: Exception) -> Act:
    """Return a step that applies nothing and raises."""

    async def act(_tool: PaperTool, _ticket: str, _reference: str) -> None:
        raise error

    return act


def applying_then(error: Exception) -> Act:
    """Return a step that posts the note and raises all the same."""

    async def act(tool: PaperTool, ticket: str, reference: str) -> None:
        tool.keep(ticket, reference)
        raise error

    return act


async def test_a_planned_note_is_posted_once(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A first write goes out without a look, is confirmed, and ends the delivery."""
    claim, effect = await board.planned(tenant, await board.connection(tenant))

    assert await desk.settle(tenant, effect) == "confirmed"

    assert desk.tool.notes == {"T-1": [(await board.row(tenant, "effect", effect))["reference"]]}
    assert desk.tool.looks == 0
    assert (await board.row(tenant, "delivery", claim.delivery_id))["state"] == "done"
    assert [c.effect_id for c in desk.posted] == [effect]
    assert await desk.settle(tenant, effect) is None


@pytest.mark.parametrize("error", [EffectUnknown("reset"), TimeoutError(), RuntimeError("a bug in the plugin")])
async def test_a_note_that_arrived_unnoticed_is_found(
    board: Board, desk: Desk, tenant: TenantRow, error: Exception
) -> None:
    """When the answer to an applied write is lost the note is looked for and not written again."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    desk.tool.script = [applying_then(error)]

    assert await desk.settle(tenant, effect) == "later"
    assert (await board.row(tenant, "effect", effect))["state"] == "unknown"
    assert await desk.settle(tenant, effect) == "confirmed"

    assert [len(notes) for notes in desk.tool.notes.values()] == [1]
    assert desk.tool.writes == 1


async def test_a_lost_write_is_repeated_only_after_two_looks(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A write without an answer is repeated only when the note is missing at once and after the settle time."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    desk.tool.script = [refusing(EffectUnknown("reset"))]

    assert await desk.settle(tenant, effect) == "later"
    assert await desk.settle(tenant, effect) == "later"
    assert desk.tool.writes == 1
    assert await desk.settle(tenant, effect) is None
    await board.make_due(tenant)
    assert await desk.settle(tenant, effect) == "confirmed"

    assert (desk.tool.looks, desk.tool.writes) == (2, 2)
    assert [len(notes) for notes in desk.tool.notes.values()] == [1]


async def test_a_note_that_arrives_late_is_found_by_the_second_look(
    board: Board, desk: Desk, tenant: TenantRow
) -> None:
    """A write that lands between the looks is confirmed, not repeated."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    desk.tool.script = [refusing(EffectUnknown("reset"))]
    await desk.settle(tenant, effect)
    await desk.settle(tenant, effect)
    desk.tool.keep("T-1", str((await board.row(tenant, "effect", effect))["reference"]))
    await board.make_due(tenant)

    assert await desk.settle(tenant, effect) == "confirmed"

    assert desk.tool.writes == 1


async def test_a_worker_that_died_while_sending(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """After a death between claim and confirmation the ticket is read first, applied or not."""
    connection = await board.connection(tenant)
    for applied in (True, False):
        _, effect = await board.planned(tenant, connection, f"T-{applied}")
        claim = await desk.take(tenant, effect)
        assert claim is not None
        if applied:
            desk.tool.keep(claim.ticket_id, claim.reference)
        assert await desk.settle(tenant, effect) is None
        await board.expire(tenant, "effect")
        while await desk.settle(tenant, effect) == "later":
            await board.make_due(tenant)

    assert [len(notes) for notes in desk.tool.notes.values()] == [1, 1]
    assert desk.tool.writes == 1


async def test_a_fenced_worker_confirms_nothing(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A worker whose lease was taken over can neither write nor confirm."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    slow = await desk.take(tenant, effect)
    assert slow is not None
    await board.expire(tenant, "effect")
    fast = await desk.take(tenant, effect)
    assert fast is not None
    assert fast.state == "unknown"

    with pytest.raises(LeaseLost):
        await desk.carry_out(slow)

    assert (await board.row(tenant, "effect", effect))["state"] == "unknown"


async def test_a_worker_that_froze_does_not_write(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A worker that was stopped between claim and write sees by its own clock that the lease is too old."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    claim = await desk.take(tenant, effect)
    assert claim is not None

    with pytest.raises(LeaseLost):
        await desk.carry_out(replace(claim, held_since=claim.held_since - 13))

    assert desk.tool.writes == 0


async def test_one_of_many_claims_of_an_effect_wins(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """Of thirty workers that take an effect at once one writes."""
    _, effect = await board.planned(tenant, await board.connection(tenant))

    outcomes = await asyncio.gather(*(desk.settle(tenant, effect) for _ in range(30)))

    assert [o for o in outcomes if o is not None] == ["confirmed"]
    assert desk.tool.writes == 1


async def test_asked_to_wait(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A ticketing tool that asks to wait is obeyed, and nothing else of its connection starts meanwhile."""
    connection = await board.connection(tenant)
    _, effect = await board.planned(tenant, connection)
    desk.tool.script = [refusing(TicketingUnavailable("busy", retry_after=3600))]

    assert await desk.settle(tenant, effect) == "later"
    assert await desk.settle(tenant, effect) is None
    assert (await board.row(tenant, "connection", connection))["wait_until"] is not None
    await board.make_due(tenant)
    assert await desk.settle(tenant, effect) == "confirmed"

    assert desk.tool.writes == 2


async def test_refused_credentials_pause_the_connection(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A refused key pauses the connection with the reason and keeps the note; it goes out after a resume."""
    connection = await board.connection(tenant)
    _, effect = await board.planned(tenant, connection)
    desk.tool.script = [refusing(AuthenticationFailed("the API token is refused"))]

    assert await desk.settle(tenant, effect) == "later"

    paused = await board.row(tenant, "connection", connection)
    assert (paused["state"], paused["state_reason"]) == ("paused", "the API token is refused")
    assert (await board.row(tenant, "effect", effect))["state"] == "planned"


@pytest.mark.parametrize("error", [TicketNotFound("gone"), TicketingRefused("closed for good")])
async def test_refused_for_good(board: Board, desk: Desk, tenant: TenantRow, error: Exception) -> None:
    """A refusal for good ends effect and delivery as dead, with the vendor's reason."""
    claim, effect = await board.planned(tenant, await board.connection(tenant))
    desk.tool.script = [refusing(error)]

    assert await desk.settle(tenant, effect) == "dead"

    row = await board.row(tenant, "delivery", claim.delivery_id)
    assert (row["state"], row["reason"]) == ("dead", str(error))


async def test_what_cannot_be_read_is_parked(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A tool that cannot look for its notes parks a doubtful write for a person instead of repeating it."""
    claim, effect = await board.planned(tenant, await board.connection(tenant))
    desk.tool.searchable = False
    desk.tool.script = [applying_then(EffectUnknown("reset"))]

    assert await desk.settle(tenant, effect) == "later"
    assert await desk.settle(tenant, effect) == "parked"

    assert (await board.row(tenant, "delivery", claim.delivery_id))["state"] == "parked"
    assert desk.tool.writes == 1


async def test_gives_up_after_the_last_delay(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """An effect that is never taken ends as dead after the last back-off, and says how often it was tried."""
    _, effect = await board.planned(tenant, await board.connection(tenant))
    desk.tool.script = [refusing(TicketingUnavailable("down")) for _ in range(30)]
    outcome = "later"
    while outcome == "later":
        await board.make_due(tenant)
        outcome = str(await desk.settle(tenant, effect))

    assert outcome == "dead"
    assert "down" in str((await board.row(tenant, "effect", effect))["reason"])
    assert desk.tool.notes == {}


async def test_a_replay_leaves_a_confirmed_note_alone(board: Board, desk: Desk, tenant: TenantRow) -> None:
    """A second run for the same delivery plans no second note unless it is asked to post again."""
    claim, effect = await board.planned(tenant, await board.connection(tenant))
    await desk.settle(tenant, effect)

    assert await _replan(board, tenant, claim.delivery_id, post_again=0) == effect
    assert await desk.settle(tenant, effect) is None
    other = await _replan(board, tenant, claim.delivery_id, post_again=1)
    assert await desk.settle(tenant, other) == "confirmed"

    assert [len(notes) for notes in desk.tool.notes.values()] == [2]


async def _replan(board: Board, tenant: TenantRow, delivery_id: object, *, post_again: int) -> object:
    async with board.database.tenant(tenant.tenant_id) as con:
        await con.execute(
            "update delivery set state = 'queued', due_at = now(), post_again = $2 where delivery_id = $1",
            delivery_id,
            post_again,
        )
    claim = await board.claim(tenant, delivery_id)  # type: ignore[arg-type]
    assert claim is not None
    return await board.plan(claim, "another text")
