"""A dry run changes neither what a delivery came to nor what it counts as."""

from __future__ import annotations

from uuid import UUID

import pytest
from tests.integration.work.conftest import Board, Desk
from tests.support.databases import TenantRow

from aiops_host.data import claims, deliveries, erasure, figures
from aiops_host.data.claims import Quarantined
from aiops_host.data.deliveries import ReplayOptions, ReplayRefused
from aiops_host.data.figures import Counts
from aiops_host.data.session import Database

DRY = ReplayOptions(dry_run=True)
MOST = 5
STANDS = ("state", "reason", "action", "trigger", "finished_at", "dry_run", "before_dry_run")


async def stands(board: Board, tenant: TenantRow, delivery_id: UUID) -> dict[str, object]:
    """Return how a delivery stands."""
    row = await board.row(tenant, "delivery", delivery_id)
    return {name: row[name] for name in STANDS}


async def counted(opened: Database, tenant: TenantRow) -> tuple[Counts, int, object]:
    """Return what Health tells: the tenant's counts, and its connection's."""
    (connection,) = await figures.connections(opened, tenant.tenant_id)
    return await figures.counts(opened, tenant.tenant_id), connection.given_up, connection.status


async def end(board: Board, tenant: TenantRow, delivery_id: UUID, how: str) -> None:
    """Let the queued dry run of a delivery end."""
    if how == "connection deleted":
        connection_id = (await board.row(tenant, "delivery", delivery_id))["connection_id"]
        async with board.database.tenant(tenant.tenant_id) as con:
            await erasure.remove_connection(con, UUID(str(connection_id)))
        return
    claim = await board.claim(tenant, delivery_id)
    assert claim is not None
    assert claim.dry_run
    if how == "its workers died":
        async with board.database.tenant(tenant.tenant_id) as con:
            await con.execute("update delivery set crashes = $1", MOST)
        await board.expire(tenant, "delivery")
        with pytest.raises(Quarantined):
            await board.claim(tenant, delivery_id, worker="another")
        return
    state, outcome = {"it wrote a note": ("done", "dry-run"), "it failed": ("dead", "gave-up")}[how]
    async with board.database.tenant(tenant.tenant_id) as con:
        await claims.move(con, claim, state=state, outcome=outcome, reason="So it ended.")


@pytest.mark.parametrize("how", ["it wrote a note", "it failed", "its workers died", "connection deleted"])
async def test_a_posted_delivery_stays_posted(
    opened: Database, board: Board, desk: Desk, tenant: TenantRow, how: str
) -> None:
    """However its dry run ends, the delivery is done and counts as posted, meanwhile too; the attempt tells the rest."""
    planned, effect = await board.planned(tenant, await board.connection(tenant))
    assert await desk.settle(tenant, effect) == "confirmed"
    before, health = await stands(board, tenant, planned.delivery_id), await counted(opened, tenant)
    assert (health[0].ended, health[0].posted) == (1, 1)

    queued = await deliveries.replay(opened, tenant.tenant_id, planned.delivery_id, DRY)
    meanwhile = await counted(opened, tenant)
    assert (queued.state, queued.dry_run, meanwhile[0].waiting) == ("queued", True, 1)
    assert (meanwhile[0].ended, meanwhile[0].posted) == (1, 1)
    await end(board, tenant, planned.delivery_id, how)

    assert await stands(board, tenant, planned.delivery_id) == before
    if how == "connection deleted":  # which Health does not list any more
        return
    assert await counted(opened, tenant) == health
    shown = await deliveries.show(opened, tenant.tenant_id, planned.delivery_id)
    assert (shown.delivery.state, shown.delivery.note_url) == ("done", "https://paper.example/1")
    assert [effect.state for effect in shown.effects] == ["confirmed"]
    assert [attempt.trigger for attempt in shown.attempts][:2] == ["scheduled", "manual"]


@pytest.mark.parametrize(("state", "action"), [("dead", "run"), ("parked", "run"), ("ignored", "none")])
async def test_what_needs_a_person_still_does(
    opened: Database, board: Board, tenant: TenantRow, state: str, action: str
) -> None:
    """A dry run of what was given up, or started no work, leaves it so, with its reason."""
    delivery_id = await board.delivery(tenant, await board.connection(tenant))
    async with opened.tenant(tenant.tenant_id) as con:
        await con.execute(
            "update delivery set state = $1, action = $2, reason = 'Why.', finished_at = now()", state, action
        )
    before, health = await stands(board, tenant, delivery_id), await counted(opened, tenant)
    await deliveries.replay(opened, tenant.tenant_id, delivery_id, DRY)
    assert (await counted(opened, tenant))[0].needs_attention == health[0].needs_attention
    await end(board, tenant, delivery_id, "it wrote a note")
    assert await stands(board, tenant, delivery_id) == before
    assert await counted(opened, tenant) == health


async def test_a_replay_for_real_takes_the_place_of_a_dry_run(
    opened: Database, board: Board, tenant: TenantRow
) -> None:
    """A dry run that waits for its next try and is replayed for real ends as any other delivery."""
    delivery_id = await board.delivery(tenant, await board.connection(tenant))
    async with opened.tenant(tenant.tenant_id) as con:
        await con.execute("update delivery set state = 'dead', finished_at = now()")
    await deliveries.replay(opened, tenant.tenant_id, delivery_id, DRY)
    async with opened.tenant(tenant.tenant_id) as con:
        await con.execute("update delivery set attempt = 1, tries = 1, due_at = now() + interval '1 hour'")
    await deliveries.replay(opened, tenant.tenant_id, delivery_id, ReplayOptions())
    claim = await board.claim(tenant, delivery_id)
    assert claim is not None
    await board.plan(claim)
    assert (await stands(board, tenant, delivery_id))["state"] == "posting"


async def test_a_dry_run_waits_until_the_note_is_settled(opened: Database, board: Board, tenant: TenantRow) -> None:
    """While the note of an earlier try is still looked for, a dry run is refused and nothing changes."""
    planned, _ = await board.planned(tenant, await board.connection(tenant))
    async with opened.tenant(tenant.tenant_id) as con:
        await con.execute("update delivery set state = 'dead', finished_at = now()")
    before = await stands(board, tenant, planned.delivery_id)
    with pytest.raises(ReplayRefused, match="once that has ended"):
        await deliveries.replay(opened, tenant.tenant_id, planned.delivery_id, DRY)
    assert await stands(board, tenant, planned.delivery_id) == before
