"""Tests of connections: who we are at the ticketing tool, or in a sentence what is in the way and what to do."""

from __future__ import annotations

import re
from uuid import UUID

from aiops_host.data import connections as stored
from aiops_host.work.probe_kinds import Outcome
from aiops_host.work.workshop import Workshop

ADVICE: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"DNS does not know"),
        "Check how the address is spelled, and that the worker's machine may look it up.",
    ),
    (re.compile(r"refuses connections"), "Check the port of the address, and that the server runs."),
    (
        re.compile(r"takes no connection within|did not answer within"),
        "Check that no firewall stands between the worker and the server.",
    ),
    (
        re.compile(r"certificate|SSL|TLS"),
        "Have the server send a certificate that the worker's machine trusts, with its whole chain, for this very name.",
    ),
)


async def tried(workshop: Workshop, tenant_id: UUID, target: str) -> Outcome:
    """Make one authenticated read; a connection its ticketing tool had refused goes on when it succeeds."""
    connection_id = UUID(target)
    async with workshop.database.tenant(tenant_id) as con:
        version = (await stored.get(con, connection_id)).config_version
    record, tool = await workshop.ticketing_tool(tenant_id, connection_id, version)
    health = await tool.check_health()
    if health.account_id and health.account_id != record.account_id:
        await stored.set_account(workshop.database, tenant_id, connection_id, health.account_id)
    if health.status == "failed":
        return Outcome(False, advised(health.detail))
    mended = await stored.resume_mended(workshop.database, tenant_id, connection_id)
    return Outcome(True, f"{health.detail} The connection was paused and goes on." if mended else health.detail)


def advised(detail: str) -> str:
    """Return what failed with what to do about it, where that is known."""
    advice = next((text for pattern, text in ADVICE if pattern.search(detail)), None)
    return f"{detail} {advice}" if advice else detail
