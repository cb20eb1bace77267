"""A connection's configuration changed in place: its address and webhook secret stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aiops_core.config import Secret, is_secret_path, load_config, split_secrets
from aiops_core.errors import ConfigInvalid
from aiops_core.registry import Registry, lookup
from aiops_host.data import connections as stored
from aiops_host.data.session import Database
from aiops_host.trust.audit import Actor, operator
from aiops_host.trust.audit import record as record_act
from aiops_host.trust.handles import out_of_reach, seal_all
from aiops_host.trust.vault import Vault

OWNER = "connection"


async def change_config(
    database: Database,
    vault: Vault,
    registry: Registry,
    connection: tuple[UUID, UUID],
    given: Mapping[str, Any],
    *,
    actor: Actor | None = None,
) -> None:
    """Validate and store fields of a connection's configuration, secrets sealed; fields left out stay.

    Credentials left out stay only while no open field changes, so that nobody can have a stored one sent to an address
    of their choice.

    Args:
        database: Where it is stored.
        vault: Seals the secrets.
        registry: The installed ticketing tools.
        connection: The ids of tenant and connection.
        given: Values by field name, secrets in plain text; ``null`` takes an optional one away.
        actor: Who changes it; without one the trail names whoever runs this process.

    Raises:
        UnknownConnection: The tenant has no such connection.
        UnknownContribution: No installed plugin provides the ticketing tool.
        ConfigInvalid: A value is missing, unknown or of the wrong kind, or a credential has to be given again.
    """
    tenant_id, connection_id = connection
    owner = (OWNER, str(connection_id))
    async with database.tenant(tenant_id) as con:
        record = await stored.get(con, connection_id)
        config_type = lookup(registry.ticketing_tools, record.ticketing_tool).config
        plain, fresh = split_secrets(config_type, {**record.config, **given})
        names = [s.name for s in await stored.newest_secrets(con, *owner) if is_secret_path(config_type, s.name)]
        kept = [name for name in names if name.partition(".")[0] not in given]
        handles = {name: out_of_reach(OWNER, name) for name in kept}
        load_config(config_type, plain, {**handles, **{k: Secret.of(v) for k, v in fresh.items()}})
        if kept and plain != record.config:
            raise ConfigInvalid(f"{kept[0]}: give it again; stored credentials go only where they were entered for.")
        await stored.delete_secrets(con, *owner, [name for name in names if name not in (*kept, *fresh)])
        await stored.set_config(con, connection_id, plain)
        await seal_all(con, vault, tenant_id, owner, fresh)
        await record_act(
            con,
            tenant_id=tenant_id,
            actor=actor or operator(),
            act="connection.change",
            subject=str(connection_id),
            details={"fields": ", ".join(sorted(given))},
        )
