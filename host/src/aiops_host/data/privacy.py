"""What of people a tenant keeps from language models, as stored."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from aiops_host.data.session import Connection

PersonalKind = Literal["email", "phone", "iban", "card", "ip"]


class Privacy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kinds of personal data replaced before a model sees them; none by default.

    ``regions`` are the countries whose phone numbers are recognised without their country's code, as ``DE``.
    """

    kinds: tuple[PersonalKind, ...] = ()
    regions: tuple[str, ...] = ()


async def read(con: Connection) -> Privacy:
    """Return the tenant's choice, inside its session."""
    found = await con.fetchval("select config from plugin_setting where kind = 'privacy' and name = 'redaction'")
    return Privacy() if found is None else msgspec.convert(found, Privacy)


async def write(con: Connection, tenant_id: UUID, chosen: Privacy) -> None:
    """Store the tenant's choice, inside its session; runs that begin later obey it."""
    await con.execute(
        "insert into plugin_setting as p (tenant_id, kind, name, config) values ($1, 'privacy', 'redaction', $2) "
        "on conflict (tenant_id, kind, name) do update set config = excluded.config, version = p.version + 1",
        tenant_id,
        msgspec.to_builtins(chosen),
    )
