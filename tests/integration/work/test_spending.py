"""From a delivery to its note: whose key wrote it, what it cost, and what it says when the budget is used up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.work.conftest import Board
from tests.support.databases import TenantRow
from tests.support.llm_stub import LLMStub, fails, llm_stub, load_litellm, note, says
from tests.support.model_desk import ModelDesk, model_desk
from tests.support.postbox import Postbox, PostboxConfig

from aiops_core import Ticket, TicketingToolSpec, hookimpl
from aiops_host.data import claims
from aiops_host.data.session import Database
from aiops_host.data.usage import UsageWriter
from aiops_host.trust.connections import NewConnection, SystemClock, create_connection
from aiops_host.work.execute import Executor
from aiops_host.work.pipeline import Pipeline, Result

ANSWER = note(("next_steps", [("Lower the MTU.", [])]))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


class Desk:
    """A plugin with a ticketing tool that has every ticket."""

    @hookimpl
    def aiops_register_ticketing_tools(self) -> Iterable[TicketingToolSpec]:
        """Contribute it."""

        class Tool(Postbox):
            async def get_ticket(self, ticket_id: str) -> Ticket:
                return Ticket(id=ticket_id, title="VPN drops", description="It drops every morning.")

        return [TicketingToolSpec(name="desk", title="Desk", factory=Tool, config=PostboxConfig)]


@dataclass
class Spending:
    """A tenant's deliveries worked on with its own key."""

    desk: ModelDesk
    board: Board
    tenant: TenantRow
    connection_id: UUID
    pipeline: Pipeline
    stub: LLMStub

    async def work(self, *, dry_run: bool = False) -> Result:
        """Work on a fresh delivery."""
        delivery_id = await self.board.delivery(self.tenant, self.connection_id)
        if dry_run:
            async with self.desk.database.tenant(self.tenant.tenant_id) as con:
                await con.execute("update delivery set dry_run = true where delivery_id = $1", delivery_id)
        claim = await self.board.claim(self.tenant, delivery_id)
        assert claim is not None
        return await self.pipeline.work(claim)

    def step(self, result: Result, name: str = "synthesise") -> Any:
        """Return a step of the run."""
        assert result.run is not None
        return next(s for s in result.run.steps if s.name == name)


@pytest.fixture
async def spending(opened: Database, board: Board, tenant: TenantRow, tmp_path: Path) -> AsyncIterator[Spending]:
    """A worker's pipeline with the postbox as the ticketing tool, and a tenant with a key of its own."""
    async with model_desk(opened, tmp_path) as desk, llm_stub(says(ANSWER)) as stub:
        plugins = desk.workshop.plugins
        plugins.load("desk", Desk, distribution="tests", version="1")
        await desk.provider("near", stub.url, prices={"m": (100.0, 1000.0)})
        await desk.use(tenant, "near", "sk-own", "m")
        new = NewConnection(name="desk", ticketing_tool="desk", config={"api_token": "t0ken"})
        made = await create_connection(opened, desk.vault, plugins.registry, tenant.tenant_id, new)
        executor = Executor(settings=desk.settings, workshop=desk.workshop, clock=SystemClock(), meters=desk.meters)
        pipeline = Pipeline(
            database=opened,
            settings=desk.settings,
            workshop=desk.workshop,
            executor=executor,
            ledger=UsageWriter(opened),
        )
        yield Spending(desk, board, tenant, made.connection_id, pipeline, stub)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_note_is_written_with_the_tenants_key(spending: Spending, dry_run: bool) -> None:
    """A run and a dry run ask with the tenant's own key; what it cost stands in the run and in the ledger."""
    result = await spending.work(dry_run=dry_run)
    assert result.outcome == ("dry-run" if dry_run else "planned")
    assert {asked.headers["authorization"] for asked in spending.stub.asked} == {"Bearer sk-own"}
    step = spending.step(result)
    assert (step.prompt_tokens, step.completion_tokens, step.cost_usd) == (1000, 200, pytest.approx(0.3))
    assert step.outputs["attempts"][0]["provider"] == "near"
    (row,) = await spending.desk.ledger(spending.tenant)
    assert (row.agent, row.calls, row.cost_usd) == ("enhance", 1, pytest.approx(0.3))


@pytest.mark.promise("budget-holds")
async def test_a_used_up_budget_is_said_in_the_note(spending: Spending) -> None:
    """The note says in plain words that no model was asked and why; it is made of the records and posted all the same."""
    await spending.desk.budget(spending.tenant, tokens=10)
    result = await spending.work()
    assert result.outcome == "planned"
    assert result.run is not None
    (notice,) = result.run.draft.notices  # type: ignore[union-attr]
    assert notice.startswith("No language model was asked: what is left of the monthly budget for language models")
    assert "an administrator can raise it" in notice
    assert notice.endswith("This note lists what the records say, without AI text.")
    assert not spending.stub.asked
    assert spending.desk.figure("aiops_llm_calls_total", provider="near", outcome="budget") == 1


async def test_a_run_settles_what_it_put_aside(spending: Spending) -> None:
    """Ledger and reservation change together: what was put aside is free once it stands in the ledger."""
    await spending.desk.budget(spending.tenant, tokens=1_000_000)
    await spending.work()
    async with spending.desk.database.tenant(spending.tenant.tenant_id) as con:
        assert await con.fetchval("select count(*) from llm_reservation") == 0
        assert await con.fetchval("select sum(prompt_tokens + completion_tokens) from llm_usage") == 1200


async def test_every_attempt_is_in_the_runs_steps(spending: Spending) -> None:
    """When no model answers the step shows each attempt with its provider and reason."""
    spending.stub.answer = fails(401)
    step = spending.step(await spending.work())
    assert [(a["provider"], a["error"]) for a in step.outputs["attempts"]] == [
        ("near", "refused the API key (HTTP 401)")
    ]


async def test_a_lost_lease_does_not_lose_the_bill(spending: Spending) -> None:
    """What was spent on a delivery that another worker took over stands in the ledger."""
    delivery_id = await spending.board.delivery(spending.tenant, spending.connection_id)
    claim = await spending.board.claim(spending.tenant, delivery_id)
    assert claim is not None
    await spending.board.expire(spending.tenant, "delivery")
    assert await spending.board.claim(spending.tenant, delivery_id, worker="thief")
    with pytest.raises(claims.LeaseLost):
        await spending.pipeline.work(claim)
    (row,) = await spending.desk.ledger(spending.tenant)
    assert row.calls == 1
