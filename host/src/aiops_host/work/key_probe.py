"""A tenant's key tried with one real, minimal call: live when it works, destroyed when it does not."""

from __future__ import annotations

from uuid import UUID

from aiops_host.data import providers
from aiops_host.trust import audit
from aiops_host.work.connection_probe import advised
from aiops_host.work.probe_kinds import Outcome
from aiops_host.work.workshop import Workshop

KEPT = "The key in use stays as it is."
NOT_SAVED = "The key was not saved."


async def tried(workshop: Workshop, tenant_id: UUID, target: str) -> Outcome:
    """Ask the first of the key's models for one word; see ``aiops_host.data.probes``."""
    key_id = UUID(target)
    entry, backend = await workshop.backends.for_key(tenant_id, key_id)
    try:
        health = await backend.check_health()
    finally:
        await backend.aclose()
    works = health.status == "ok"
    async with workshop.database.tenant(tenant_id) as con:
        before = await providers.key(con, key_id)
        if works:
            await providers.make_live(con, tenant_id, key_id)
        else:
            await providers.refuse(con, tenant_id, key_id, reached=health.reached)
        if before.state == "trying":
            act = "key.accept" if works else "key.refuse" if health.reached else "key.unreached"
            actor = audit.part("worker")
            await audit.record(con, tenant_id=tenant_id, actor=actor, act=act, subject=entry.name)
    if works:
        return Outcome(True, f"{entry.title} accepted the key: {health.detail}")
    return Outcome(False, f"{entry.title}: {advised(health.detail)} {KEPT if before.state == 'live' else NOT_SAVED}")
