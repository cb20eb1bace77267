"""Budgets: put aside before a call, settled with the run, never exceeded by calls side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from tests.support.databases import DatabaseUrls, TenantRow, TwoTenants
from tests.support.llm_stub import Asked, LLMStub, Reply, fails, in_turn, llm_stub, load_litellm, note, sends
from tests.support.model_desk import ModelDesk, model_desk

from aiops_core import BudgetExceeded, ConfigInvalid, LLMUnavailable
from aiops_host.data import budgets, usage
from aiops_host.data.budgets import BudgetState
from aiops_host.data.session import Database
from aiops_host.work.budget_watch import BudgetWatch

ANSWER = note(("summary", [("The tunnel's packets are too large.", [1])]))
PRICE = {"m": (100.0, 1000.0)}
"""USD per million tokens."""


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


@pytest.fixture
async def desk(database: DatabaseUrls, opened: Database, tmp_path: Path) -> AsyncIterator[ModelDesk]:
    """A worker's way to models, with a worker's patience for a connection."""
    urls = {"app": database.app, "sweeper": database.sweeper}
    patient = await Database.open(urls, {"app": 10, "sweeper": 2}, patience=60)
    async with model_desk(patient, tmp_path) as made:
        yield made
    await patient.close()


def charging(prompt: int, completion: int, text: str = ANSWER) -> Reply:
    """Return an answer that charges these tokens."""
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }
    return Reply(headers={"content-type": "application/json"}, body=msgspec.json.encode(body))


def dearest(asked: Asked) -> Reply:
    """Charge the most there is: a token for each byte that was sent, and all that was allowed in answer."""
    sent = sum(len(str(message["content"]).encode()) for message in asked.body["messages"])
    return charging(sent, asked.body["max_tokens"])


@pytest.fixture
async def stub(desk: ModelDesk, tenant: TenantRow) -> AsyncIterator[LLMStub]:
    """A provider with a price, for which the tenant has a key."""
    async with llm_stub(sends(charging(3000, 1000))) as made:
        await desk.provider("near", made.url, prices=PRICE)
        await desk.use(tenant, "near", "sk-own", "m")
        yield made


async def state(desk: ModelDesk, tenant: TenantRow, by: str = "tenant") -> BudgetState:
    """Return the tenant's budget."""
    async with desk.database.tenant(tenant.tenant_id) as con:
        return next(s for s in await budgets.states(con) if s.set_by == by)


async def count(desk: ModelDesk, tenant: TenantRow, table: str) -> int:
    """Return how many rows a table has."""
    async with desk.database.tenant(tenant.tenant_id) as con:
        return int(await con.fetchval(f"select count(*) from {table}"))  # noqa: S608 - a table of ours


@pytest.mark.promise("budget-holds", figure=50)
@pytest.mark.attack(25, figure=50)
@pytest.mark.parametrize("limits", [{"tokens": 60_000}, {"usd": 20.0}])
async def test_fifty_calls_side_by_side_never_overshoot(
    desk: ModelDesk, tenant: TenantRow, stub: LLMStub, limits: dict[str, float]
) -> None:
    """Of fifty runs at once only as many ask as the budget covers; at its end no more is used than it allows."""
    await desk.budget(tenant, **limits)
    stub.answer = dearest

    async def one() -> bool:
        run = await desk.run(tenant)
        try:
            await run.ask(timeout=60)
        except BudgetExceeded:
            return False
        finally:
            await run.settle()
        return True

    asked = await asyncio.gather(*(one() for _ in range(50)))
    used = await state(desk, tenant)
    assert 0 < asked.count(True) == len(stub.asked) < 50
    assert (used.reserved_tokens, used.reserved_usd) == (0, 0)
    assert used.used_tokens > 1200 * asked.count(True)
    assert used.tokens is None or used.used_tokens <= used.tokens
    assert used.usd is None or used.used_usd <= used.usd


async def test_nobody_overtakes_between_reading_and_writing(desk: ModelDesk, tenant: TenantRow) -> None:
    """Fifty reservations at once, each of a tenth of the budget: exactly ten are granted."""
    await desk.budget(tenant, tokens=1000)
    lasts = timedelta(minutes=1)
    granted = await asyncio.gather(
        *(usage.reserve(desk.database, tenant.tenant_id, uuid4(), tokens=100, usd=0.1, lasts=lasts) for _ in range(50))
    )
    assert [ok for ok, _ in granted].count(True) == 10


async def test_at_the_limit_the_reason_is_said(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """A used-up budget stops the call before it is made, and says which, until when, and who can raise it."""
    await desk.budget(tenant, tokens=30_000)
    stub.answer = sends(charging(29_000, 1000))
    run = await desk.run(tenant)
    await run.ask()
    await run.settle()
    with pytest.raises(BudgetExceeded) as refused:
        await (await desk.run(tenant)).ask()
    now = await state(desk, tenant)
    assert str(refused.value) == (
        f"the monthly budget for language models (30,000 tokens) is used up until {now.renews}; "
        "an administrator can raise it"
    )
    assert (now.level, len(stub.asked)) == ("reached", 1)
    assert "notes are made without AI text" in now.sentence
    assert desk.figure("aiops_llm_calls_total", provider="near", outcome="budget") == 1
    await desk.budget(tenant, tokens=90_000)
    await (await desk.run(tenant)).ask()


async def test_the_operators_budget_holds_beside_the_tenants(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """A tenant that raises its own budget is still bounded by the operator's."""
    await desk.budget(tenant, tokens=10_000_000)
    await desk.budget(tenant, period="day", by="operator", tokens=10)
    with pytest.raises(BudgetExceeded, match="does not cover another call; the operator can raise it"):
        await (await desk.run(tenant)).ask()
    assert not stub.asked


async def test_a_budget_of_one_tenant_is_nobody_elses(desk: ModelDesk, two_tenants: TwoTenants, stub: LLMStub) -> None:
    """The neighbour of a tenant whose budget is used up goes on, and neither sees the other's ledger."""
    a, b = two_tenants
    await desk.budget(a, tokens=0)
    await desk.use(b, "near", "sk-b", "m")
    with pytest.raises(BudgetExceeded):
        await (await desk.run(a)).ask()
    run = await desk.run(b)
    await run.ask()
    await run.settle()
    assert [row.calls for row in await desk.ledger(b)] == [1]
    assert await desk.ledger(a) == []


async def test_the_ledger_adds_up(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """Tokens and money of every call stand in the ledger by agent and model, at the operator's price."""
    for agent in ("enhance", "enhance"):
        run = await desk.run(tenant, agent)
        await run.ask()
        await run.settle()
    (row,) = await desk.ledger(tenant)
    assert (row.agent, row.provider, row.model) == ("enhance", "near", "openai/m")
    assert (row.calls, row.failures, row.prompt_tokens, row.completion_tokens) == (2, 0, 6000, 2000)
    assert row.cost_usd == pytest.approx(2 * (3000 * 100 + 1000 * 1000) / 1e6)
    assert (row.unpriced_calls, row.doubtful_tokens) == (0, 0)


async def test_without_a_budget_nothing_is_put_aside(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """A tenant without a budget pays no trip to the database before a call."""
    run = await desk.run(tenant)
    assert run.llm.meter.purse is None
    await run.ask()
    assert await count(desk, tenant, "llm_reservation") == 0


async def test_one_reservation_serves_a_runs_retries(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """Tries that fail without a charge use the same reservation: one trip, however often a model is asked."""
    await desk.budget(tenant, tokens=1_000_000)
    stub.answer = in_turn(fails(500), fails(503), sends(charging(3000, 1000)))
    run = await desk.run(tenant)
    await run.ask(timeout=60)
    assert len(stub.asked) == 3
    assert await count(desk, tenant, "llm_reservation") == 1
    await run.settle()
    assert await count(desk, tenant, "llm_reservation") == 0
    (row,) = await desk.ledger(tenant)
    assert (row.calls, row.failures, row.doubtful_tokens) == (3, 2, 0)


async def test_what_may_have_been_charged_counts(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """A call that ended without an answer is kept apart as doubtful, at the most it can have cost, and fills the budget."""
    await desk.budget(tenant, tokens=1_000_000)
    stub.answer = sends(Reply(kind="hang"))
    run = await desk.run(tenant)
    with pytest.raises(LLMUnavailable):
        await run.ask(timeout=4.0)
    await run.settle()
    (row,) = await desk.ledger(tenant)
    assert (row.prompt_tokens, row.completion_tokens, row.cost_usd) == (0, 0, 0)
    assert row.doubtful_tokens > 1200
    assert row.doubtful_usd > 0
    assert (await state(desk, tenant)).used_tokens == row.doubtful_tokens


async def test_a_dead_workers_reservation_ends(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """What a worker put aside and never settled is free again after the longest run."""
    await desk.budget(tenant, tokens=25_000)
    run = await desk.run(tenant)
    await run.ask()  # and its worker dies
    assert (await state(desk, tenant)).reserved_tokens > 0
    async with desk.database.tenant(tenant.tenant_id) as con:
        left = await con.fetchval("select max(expires_at) - clock_timestamp() from llm_reservation")
        await con.execute("update llm_reservation set expires_at = clock_timestamp()")
    assert timedelta(seconds=100) < left <= timedelta(seconds=170)
    assert (await state(desk, tenant)).reserved_tokens == 0
    await (await desk.run(tenant)).ask()
    assert await count(desk, tenant, "llm_reservation") == 1


async def test_a_price_nobody_knows_is_no_way_around(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """With a budget in USD a model without a price is not asked, until the operator sets one."""
    await desk.provider("near", stub.url)
    await desk.budget(tenant, usd=100.0)
    with pytest.raises(BudgetExceeded, match="its price is not known"):
        await (await desk.run(tenant)).ask()
    assert not stub.asked
    await desk.provider("near", stub.url, prices=PRICE)
    await (await desk.run(tenant)).ask()


async def test_a_listed_price_counts(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """Without a price of the operator's the library's bundled list counts, in the reservation and in the ledger."""
    await desk.use(tenant, "near", "sk-own", "gpt-4o-mini")
    await desk.budget(tenant, usd=100.0)
    run = await desk.run(tenant)
    await run.ask()
    assert 0 < (await state(desk, tenant)).reserved_usd < 0.1
    await run.settle()
    (row,) = await desk.ledger(tenant)
    assert row.cost_usd == pytest.approx((3000 * 0.15 + 1000 * 0.6) / 1e6)


async def test_the_most_a_call_can_cost_is_put_aside(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """A token is at least one byte: whatever a ticket's author writes, no more is charged than was put aside."""
    await desk.budget(tenant, tokens=10_000_000)
    run = await desk.run(tenant)
    await run.ask(max_tokens=777)
    sent = sum(len(str(m["content"]).encode()) for m in stub.asked[0].body["messages"])
    schema = len(msgspec.json.encode(stub.asked[0].body["response_format"]))
    assert (await state(desk, tenant)).reserved_tokens >= sent + schema + 777


async def test_a_ceiling_of_tokens_is_the_runs_not_the_agents(
    desk: ModelDesk, tenant: TenantRow, stub: LLMStub
) -> None:
    """An agent that asks for more tokens than a run may have gets the run's ceiling; and so many calls, no more."""
    run = await desk.run(tenant)
    await run.ask(max_tokens=1_000_000)
    assert stub.asked[0].body["max_tokens"] == run.llm.budget.max_tokens
    for _ in range(run.llm.budget.llm_calls - 1):
        await run.ask()
    with pytest.raises(BudgetExceeded, match="4 times"):
        await run.ask()
    assert len(stub.asked) == 4


async def test_eighty_percent_is_a_warning(
    desk: ModelDesk, tenant: TenantRow, stub: LLMStub, caplog: pytest.LogCaptureFixture
) -> None:
    """From 80 % on a budget shows as a warning, at 100 % as reached: in metrics, and once each in the log."""
    watch = BudgetWatch(desk.database, desk.metrics)
    for limit, level in ((5001, "ok"), (5000, "warning"), (4000, "reached")):
        await desk.budget(tenant, tokens=limit)
        if level == "ok":
            async with desk.database.tenant(tenant.tenant_id) as con:
                line = usage.Line("enhance", "near", "m", calls=1, prompt_tokens=3000, completion_tokens=1000)
                await usage.settle(con, tenant.tenant_id, usage.Spent([line]))
        await watch.look()
        await watch.look()
        assert (await state(desk, tenant)).level == level, limit
        shown = {name: desk.figure("aiops_llm_budgets", level=name) for name in ("ok", "warning", "reached")}
        assert shown == {"ok": 0, "warning": 0, "reached": 0, level: 1}
    told = [r.getMessage() for r in caplog.records if r.name == "aiops_host.work.budget_watch"]
    assert [("is used up" in text, "is used to 80%" in text) for text in told] == [(False, True), (True, False)]
    assert all(tenant.slug in text for text in told)


async def test_a_budget_that_limits_nothing_is_refused(desk: ModelDesk, tenant: TenantRow) -> None:
    """A budget without tokens and money, or below zero, is refused."""
    for limits in ({}, {"tokens": -1}, {"usd": -0.5}, {"usd": float("inf")}, {"usd": float("nan")}):
        with pytest.raises(ConfigInvalid):
            await desk.budget(tenant, **limits)


@pytest.mark.attack(25)
async def test_a_model_that_never_stops(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """Endless, huge, dripping and silent answers end within the run's time, and count as what they may have cost."""
    huge = charging(10, 10, text="x" * (5 * 1024 * 1024))
    for reply in (Reply(kind="endless"), huge, Reply(kind="drip"), Reply(kind="hang")):
        stub.answer = sends(reply)
        run = await desk.run(tenant)
        async with asyncio.timeout(60):
            with pytest.raises(LLMUnavailable):
                await run.ask(timeout=4.0)
        assert run.llm.meter.spent.lines[0].doubtful_tokens > 0


async def test_a_long_answer_is_read_to_a_bound(desk: ModelDesk, tenant: TenantRow, stub: LLMStub) -> None:
    """Of an answer far longer than was asked for, only as much is read as the largest note could have."""

    def answer(_asked: Asked) -> Reply:
        return charging(10, 10, text="All is well [1]. " * 100_000)

    stub.answer = answer
    completion = await (await desk.run(tenant)).ask()
    assert sum(len(c.text) for s in completion.draft.sections for c in s.claims) <= 64 * 1024
