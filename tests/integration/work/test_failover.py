"""Providers that fail: left out for a while, tried again by one call, every attempt told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support.databases import TenantRow, TwoTenants
from tests.support.llm_stub import LLMStub, Reply, fails, in_turn, llm_stub, load_litellm, note, says, sends
from tests.support.model_desk import ModelDesk, model_desk

from aiops_core import LLMUnavailable
from aiops_host.data.session import Database
from aiops_host.settings import Settings, read_settings

ANSWER = note(("summary", [("The tunnel's packets are too large.", [1])]))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


@pytest.fixture
async def desk(opened: Database, tmp_path: Path) -> AsyncIterator[ModelDesk]:
    """A worker's way to models that leaves a provider out after three failures, for a second."""
    async with model_desk(opened, tmp_path, breaker_failures=3, breaker_seconds=1.0) as made:
        yield made


@pytest.fixture
async def two(desk: ModelDesk, two_tenants: TwoTenants) -> AsyncIterator[tuple[LLMStub, LLMStub]]:
    """Two providers, for which both tenants have keys."""
    async with AsyncExitStack() as stack:
        stubs = []
        for place, name in enumerate(("first", "second")):
            stubs.append(await stack.enter_async_context(llm_stub(says(ANSWER))))
            await desk.provider(name, stubs[-1].url, position=place)
            for tenant in two_tenants:
                await desk.use(tenant, name, f"sk-{name}", "m")
        yield stubs[0], stubs[1]


@pytest.mark.promise("failover")
async def test_a_failing_provider_is_left_out(desk: ModelDesk, tenant: TenantRow, two: tuple[LLMStub, LLMStub]) -> None:
    """After three failures in a row the next provider is asked at once, without trying the failing one."""
    first, _ = two
    first.answer = fails(503)
    completion = await (await desk.run(tenant)).ask()
    assert len(first.asked) == 3
    assert [a.error for a in completion.attempts][3] == "was not asked, because first failed 3 times in a row just now"
    completion = await (await desk.run(tenant)).ask()
    assert len(first.asked) == 3
    assert completion.model == "openai/m"
    assert desk.figure("aiops_llm_calls_total", provider="first", outcome="left-out") == 2
    assert desk.figure("aiops_llm_breakers_open") == 1


@pytest.mark.promise("failover")
async def test_it_is_let_in_again(desk: ModelDesk, tenant: TenantRow, two: tuple[LLMStub, LLMStub]) -> None:
    """When its time is over one call tries it, and when that works all do."""
    first, _ = two
    first.answer = fails(503)
    await (await desk.run(tenant)).ask()
    first.answer = says(ANSWER)
    first.asked.clear()
    breaker = desk.meters.breakers.of(tenant.tenant_id, "first", (await desk.run(tenant)).llm.meter.version)
    breaker.opened_at = 0.0
    completion = await (await desk.run(tenant)).ask()
    assert [a.provider for a in completion.attempts] == ["first"]
    assert breaker.state == "closed"


async def test_the_neighbour_goes_on(desk: ModelDesk, two_tenants: TwoTenants, two: tuple[LLMStub, LLMStub]) -> None:
    """What fails for one tenant is still asked for another: it may be the key that fails."""
    first, _ = two
    first.answer = fails(401)
    for _ in range(3):
        await (await desk.run(two_tenants.a)).ask()
    first.answer = says(ANSWER)
    first.asked.clear()
    await (await desk.run(two_tenants.a)).ask()
    assert not first.asked
    await (await desk.run(two_tenants.b)).ask()
    assert len(first.asked) == 1


async def test_a_request_that_is_to_blame_leaves_the_provider_in(
    desk: ModelDesk, tenant: TenantRow, two: tuple[LLMStub, LLMStub]
) -> None:
    """Requests refused for their content say nothing about the provider: it is asked again each time."""
    first, _ = two
    first.answer = fails(413)
    for _ in range(4):
        await (await desk.run(tenant)).ask()
    assert len(first.asked) == 4


async def test_a_new_key_starts_anew(desk: ModelDesk, tenant: TenantRow, two: tuple[LLMStub, LLMStub]) -> None:
    """Whoever mends a key need not wait: the provider is asked with the new one at once."""
    first, _ = two
    first.answer = fails(401)
    for _ in range(3):
        await (await desk.run(tenant)).ask()
    first.answer = says(ANSWER)
    await desk.use(tenant, "first", "sk-mended", "m")
    first.asked.clear()
    await (await desk.run(tenant)).ask()
    assert first.asked[0].headers["authorization"] == "Bearer sk-mended"


async def test_every_attempt_is_told_when_none_answers(
    desk: ModelDesk, tenant: TenantRow, two: tuple[LLMStub, LLMStub]
) -> None:
    """When all fail the error carries each attempt with its provider and reason, for the run's steps."""
    first, second = two
    first.answer = in_turn(fails(500), fails(401))
    second.answer = fails(404)
    with pytest.raises(LLMUnavailable) as failure:
        await (await desk.run(tenant)).ask()
    assert [(a.provider, a.error) for a in failure.value.attempts] == [  # type: ignore[attr-defined]
        ("first", "failed with HTTP 500"),
        ("first", "refused the API key (HTTP 401)"),
        ("second", "is not known there: check the model's name (HTTP 404)"),
        ("second", "is not known there: check the model's name (HTTP 404)"),
    ]


async def test_a_cancelled_run_frees_the_trial(
    desk: ModelDesk, tenant: TenantRow, two: tuple[LLMStub, LLMStub]
) -> None:
    """A run that is stopped while it tries a provider leaves the trial to the next, and is charged the most."""
    first, _ = two
    run = await desk.run(tenant)
    breaker = desk.meters.breakers.of(tenant.tenant_id, "first", run.llm.meter.version)
    for _ in range(3):
        breaker.failed()
    breaker.opened_at = 0.0
    first.answer = sends(Reply(kind="hang"))
    asking = asyncio.create_task(run.ask())
    while not first.asked:  # noqa: ASYNC110 - the server of the test says when
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert breaker.state == "half-open"
    assert breaker.enter()
    (line,) = run.llm.meter.spent.lines
    assert (line.failures, line.doubtful_tokens > 0) == (1, True)
    assert run.llm.meter.attempts[0].error == "was broken off"


def test_waits_are_two_four_and_eight_seconds() -> None:
    """Between tries at one model there are 2, 4 and 8 s, unless the operator says otherwise."""
    assert Settings().llm_backoff == (2.0, 4.0, 8.0)
    assert read_settings({"AIOPS_LLM_DELAYS": "1, 3"}).llm_backoff == (1.0, 3.0)
