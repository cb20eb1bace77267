"""A delivery worked on once more by a person's wish, and who wished it."""

from __future__ import annotations

from uuid import UUID

from aiops_host.data import deliveries
from aiops_host.data.deliveries import DeliverySummary, ReplayOptions
from aiops_host.data.session import Database
from aiops_host.trust.audit import Actor, record


async def replay(
    database: Database, actor: Actor, tenant_id: UUID, delivery_id: UUID, options: ReplayOptions
) -> DeliverySummary:
    """Queue a delivery once more and keep who asked; see :func:`deliveries.replay`.

    Raises:
        UnknownDelivery: The tenant has none of that id.
        ReplayRefused: It is being or about to be worked on, or names no ticket.
    """
    async with database.tenant(tenant_id) as con:
        queued = await deliveries.replay(database, tenant_id, delivery_id, options)
        facts = {"dry_run": str(options.dry_run).lower(), "post_again": str(options.post_again).lower()}
        await record(
            con, tenant_id=tenant_id, actor=actor, act="delivery.replay", subject=str(delivery_id), details=facts
        )
    return queued
