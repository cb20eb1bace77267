"""What of people a tenant keeps from models, chosen by its administrators."""

from __future__ import annotations

from uuid import UUID

from aiops_host.data import privacy as stored
from aiops_host.data.privacy import Privacy
from aiops_host.data.session import Database
from aiops_host.trust.audit import Actor, record
from aiops_host.trust.redaction import check


async def choose(database: Database, actor: Actor, tenant_id: UUID, chosen: Privacy) -> Privacy:
    """Store the choice and who made it; runs that begin later obey it.

    Raises:
        ConfigInvalid: A region is no country's.
    """
    check(chosen)
    facts = {"kinds": ", ".join(chosen.kinds) or "none", "regions": ", ".join(chosen.regions) or "none"}
    async with database.tenant(tenant_id) as con:
        await stored.write(con, tenant_id, chosen)
        await record(con, tenant_id=tenant_id, actor=actor, act="privacy.change", subject="redaction", details=facts)
    return chosen
