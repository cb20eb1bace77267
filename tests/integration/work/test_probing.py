"""What a worker tries for people: taken up once, bounded, answered in a sentence whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from tests.support.databases import TenantRow, TwoTenants

from aiops_core import ConfigInvalid
from aiops_host.data import probes
from aiops_host.data.session import Database
from aiops_host.work.probe_kinds import Outcome, ProbeFunction
from aiops_host.work.probing import LEASE, Prober
from aiops_host.work.workshop import Workshop


@dataclass
class Tried:
    """Remembers what was tried, and answers or raises as told."""

    answer: Outcome | Exception = field(default_factory=lambda: Outcome(True, "The key works."))
    seen: list[tuple[UUID, str]] = field(default_factory=list)

    async def __call__(self, workshop: Workshop, tenant_id: UUID, target: str) -> Outcome:
        """Try."""
        self.seen.append((tenant_id, target))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def prober(opened: Database, **kinds: ProbeFunction) -> Prober:
    """Return a prober over the test's database that would look by itself once an hour."""
    workshop = cast("Workshop", SimpleNamespace(database=opened))
    return Prober(workshop=workshop, worker=uuid4().hex, every=3600, kinds=kinds)


async def asked(opened: Database, tenant: TenantRow, kind: str = "key", target: str = "openai") -> UUID:
    """Ask for a probe."""
    async with opened.tenant(tenant.tenant_id) as con:
        return await probes.ask(con, tenant.tenant_id, kind, target)


async def test_a_probe_is_answered_once(opened: Database, tenant: TenantRow) -> None:
    """Of several workers one tries it, with its tenant and target, and its sentence is kept."""
    tried = Tried()
    probe_id = await asked(opened, tenant)
    took = await asyncio.gather(*[prober(opened, key=tried).take_one() for _ in range(3)])
    found = await probes.show(opened, tenant.tenant_id, probe_id)
    assert (found.state, found.result) == ("ok", "The key works.")
    assert tried.seen == [(tenant.tenant_id, "openai")]
    assert took.count(True) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Outcome(False, "It refused the key."), "It refused the key."),
        (ConfigInvalid("models: this field is needed."), "models: this field is needed."),
        (RuntimeError("sk-canary"), "The test itself failed (RuntimeError); the worker's log says why."),
    ],
)
async def test_whatever_happens_is_a_sentence(
    opened: Database, tenant: TenantRow, answer: Outcome | Exception, said: str
) -> None:
    """A refusal, an explained error and a bug each end the probe as failed, in words fit to show."""
    probe_id = await asked(opened, tenant)
    await prober(opened, key=Tried(answer)).take_one()
    found = await probes.show(opened, tenant.tenant_id, probe_id)
    assert (found.state, found.result) == ("failed", said)


async def test_an_unknown_kind_is_said(opened: Database, tenant: TenantRow) -> None:
    """A worker that lacks the kind says so instead of leaving the probe open for ever."""
    probe_id = await asked(opened, tenant, kind="moon")
    await prober(opened).take_one()
    assert "does not know how to test a moon" in str((await probes.show(opened, tenant.tenant_id, probe_id)).result)


async def test_a_dead_workers_probe_is_taken_over(opened: Database, tenant: TenantRow) -> None:
    """Not before the lease ends; the late worker's answer is then dropped, and after three deaths it has failed."""
    tried, probe_id = Tried(), await asked(opened, tenant)
    dead = await probes.claim(opened, tenant.tenant_id, probe_id, worker="dead", lease=LEASE)
    assert dead is not None
    assert not await prober(opened, key=tried).take_one()
    for _ in range(2):
        await expire(opened, tenant)
        assert await probes.claim(opened, tenant.tenant_id, probe_id, worker="dead", lease=LEASE) is not None
    async with opened.tenant(tenant.tenant_id) as con:
        assert not await probes.finish(con, dead, ok=True, result="too late")
    await expire(opened, tenant)
    assert not await prober(opened, key=tried).take_one()
    found = await probes.show(opened, tenant.tenant_id, probe_id)
    assert (found.state, tried.seen) == ("failed", [])
    assert "in 3 tries" in str(found.result)


async def test_a_wake_up_is_enough(opened: Database, tenant: TenantRow) -> None:
    """A probe is taken up when announced, without waiting for the next look; other wake-ups go to the deliveries."""
    tried, others = Tried(), list[Any]()
    worker = prober(opened, key=tried)

    async def delivery(tenant_id: UUID, delivery_id: UUID) -> None:
        others.append((tenant_id, delivery_id))

    woken = worker.or_else(delivery)
    running = asyncio.create_task(worker.run())
    try:
        first = await asked(opened, tenant)
        await woken(probes.WAKE, first)
        found = await probes.answered(opened, tenant.tenant_id, first, within=20)
        await woken(tenant.tenant_id, first)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert found.state == "ok"
    assert others == [(tenant.tenant_id, first)]


async def test_probes_stay_with_their_tenant(opened: Database, two_tenants: TwoTenants) -> None:
    """Another tenant's probe is not found, and a suspended tenant's waits."""
    a, b = two_tenants
    probe_id = await asked(opened, a)
    with pytest.raises(probes.UnknownProbe):
        await probes.show(opened, b.tenant_id, probe_id)
    async with opened.tenant(a.tenant_id) as con:
        await con.execute("update tenant set state = 'suspended'")
    assert not await prober(opened, key=Tried()).take_one()
    with pytest.raises(probes.ProbeUnanswered, match="No worker answered in time"):
        await probes.answered(opened, a.tenant_id, probe_id, within=0.01)


async def expire(opened: Database, tenant: TenantRow) -> None:
    """Let every lease end."""
    async with opened.tenant(tenant.tenant_id) as con:
        await con.execute("update probe set lease_until = now() - $1::interval", timedelta(seconds=1))
