"""What the intake reads and writes, through the functions its role may execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import asyncpg
import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data.session import Database, DatabaseDown

Action = Literal["run", "learn", "none"]
FirstState = Literal["queued", "ignored", "quarantined"]


class EndpointGone(AiopsError):
    """The endpoint was removed since it was looked up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRow:
    """An endpoint with its connection. ``sealed_secrets`` are (version, sealed) pairs, newest first.

    ``secret_expiries`` stand beside them, ``None`` for one that does not expire. ``networks`` are the CIDRs that may
    post, none: all.
    """

    tenant_id: UUID
    tenant_state: str
    endpoint_id: str
    connection_id: UUID
    ticketing_tool: str
    config: Mapping[str, Any]
    config_version: int
    run_on: tuple[str, ...]
    account_id: str | None
    sealed_secrets: tuple[tuple[int, bytes], ...] = field(repr=False)
    credential_names: tuple[str, ...]
    secret_expiries: tuple[datetime | None, ...] = ()
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDelivery:
    """A webhook whose sender is proven, as it is stored."""

    tenant_id: UUID
    connection_id: UUID
    endpoint_id: str
    external_id: str
    dedup_key: str | None
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    proof_scheme: str
    signed_at: datetime | None
    ticket_id: str | None
    kind: str | None
    actor_id: str | None
    revision: str | None
    traceparent: str
    action: Action
    state: FirstState
    reason: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The delivery that keeps the webhook: the new one, or the first one of a duplicate."""

    delivery_id: UUID
    fresh: bool


async def endpoint(database: Database, endpoint_id: str) -> EndpointRow | None:
    """Return the endpoint of that id in whatever tenant, or ``None``."""
    async with database.role("intake") as con:
        row = await con.fetchrow("select * from intake_endpoint($1)", endpoint_id)
    if row is None:
        return None
    return EndpointRow(
        tenant_id=row["tenant_id"],
        tenant_state=row["tenant_state"],
        endpoint_id=endpoint_id,
        connection_id=row["connection_id"],
        ticketing_tool=row["ticketing_tool"],
        config=row["config"],
        config_version=row["config_version"],
        run_on=tuple(row["run_on"]),
        account_id=row["account_id"],
        sealed_secrets=tuple(zip(row["secret_versions"] or (), row["secrets"] or (), strict=True)),
        credential_names=tuple(row["credential_names"]),
        secret_expiries=tuple(row["secret_expiries"] or ()),
        networks=tuple(row["networks"]),
    )


async def accept(database: Database, tenant_id: UUID, new: Sequence[NewDelivery]) -> list[Accepted]:
    """Commit deliveries of one tenant in one round trip, each as a new row or found as the one it repeats.

    Raises:
        EndpointGone: The connection of one of them no longer exists; none was stored.
        DatabaseBusy: No connection became free in time.
        DatabaseDown: Whether they were committed is not known; their senders must send again.
    """
    columns = zip(*(_values(one) for one in new), strict=True)
    try:
        async with database.role("intake") as con:
            rows = await con.fetch(_ACCEPT, tenant_id, *columns)
    except asyncpg.ForeignKeyViolationError:
        raise EndpointGone from None
    if any(row["delivery_id"] is None for row in rows):
        raise DatabaseDown("A duplicate's first delivery was removed meanwhile.")
    return [Accepted(row["delivery_id"], row["fresh"]) for row in rows]


_ACCEPT = f"select * from accept_deliveries({', '.join(f'${n}' for n in range(1, 19))})"  # noqa: S608 - numbers only


def _values(new: NewDelivery) -> tuple[Any, ...]:
    return (
        uuid4(),
        new.connection_id,
        new.endpoint_id,
        new.external_id,
        new.dedup_key,
        msgspec.json.encode(new.headers).decode(),
        new.body,
        new.proof_scheme,
        new.signed_at,
        new.ticket_id,
        new.kind,
        new.actor_id,
        new.revision,
        new.traceparent,
        new.action,
        new.state,
        new.reason,
    )
