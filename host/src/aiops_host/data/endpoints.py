"""Endpoints as people manage them: who may post, with which secrets, and what was refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from aiops_core.errors import ConfigInvalid
from aiops_host.data.connections import UnknownConnection
from aiops_host.data.session import Connection

MOST_NETWORKS = 50
MOST_PREVIOUS = 2
MOST_OVERLAP = timedelta(days=7)


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a webhook secret, without its value.

    ``expires_at`` is set on one that a newer has replaced. ``last_used_at`` is kept, to the half minute, while there
    is more than one.
    """

    version: int
    current: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """A connection's webhook address. ``networks`` are the CIDRs that may post, none: all; secrets newest first."""

    id: str
    connection_id: UUID
    webhook_url: str
    networks: list[str]
    secrets: list[SecretView]


async def show(con: Connection, connection_id: UUID) -> EndpointView:
    """Return a connection's endpoint, inside the caller's tenant session; ``webhook_url`` is its path.

    Raises:
        UnknownConnection: The tenant has none of that id, or it was deleted.
    """
    row = await con.fetchrow(
        "select e.endpoint_id, e.networks, c.ticketing_tool from endpoint e "
        "join connection c on c.tenant_id = e.tenant_id and c.connection_id = e.connection_id "
        "where e.connection_id = $1 and c.state <> 'deleted' order by e.created_at desc limit 1",
        connection_id,
    )
    if row is None:
        raise UnknownConnection
    secrets = await con.fetch(
        "select version, row_number() over (order by version desc) = 1 as current, created_at, expires_at, "
        "last_used_at from secret where owner_kind = 'endpoint' and owner_id = $1 and name = 'webhook' "
        "and (expires_at is null or expires_at > clock_timestamp()) order by version desc",
        row["endpoint_id"],
    )
    return EndpointView(
        id=row["endpoint_id"],
        connection_id=connection_id,
        webhook_url=f"/webhooks/{row['ticketing_tool']}/{row['endpoint_id']}",
        networks=row["networks"],
        secrets=[SecretView(**dict(secret)) for secret in secrets],
    )


async def set_networks(con: Connection, endpoint_id: str, networks: Sequence[str]) -> list[str]:
    """Let only these networks post, inside the caller's tenant session; none: all. Return them as stored.

    Raises:
        ConfigInvalid: One of them is no CIDR, or there are too many.
    """
    stored = parsed_networks(networks)
    await con.execute("update endpoint set networks = $2 where endpoint_id = $1", endpoint_id, stored)
    return stored


async def end_previous_secrets(con: Connection, endpoint_id: str, overlap: timedelta) -> datetime | None:
    """Let all secrets but the newest expire after ``overlap``, and keep two of them at most.

    One that was to expire sooner still does. Works inside the caller's tenant session.

    Returns:
        When the last of them expires; ``None`` when there is none left.
    """
    await con.execute(
        "with versions as (select version, row_number() over (order by version desc) as age from secret "
        "where owner_kind = 'endpoint' and owner_id = $1 and name = 'webhook') "
        "update secret s set expires_at = case when v.age > $3 then clock_timestamp() "
        "else least(s.expires_at, clock_timestamp() + $2) end from versions v "
        "where s.owner_kind = 'endpoint' and s.owner_id = $1 and s.name = 'webhook' and s.version = v.version "
        "and v.age > 1",
        endpoint_id,
        overlap,
        MOST_PREVIOUS + 1,
    )
    await con.execute(
        "delete from secret where owner_kind = 'endpoint' and owner_id = $1 and expires_at <= clock_timestamp()",
        endpoint_id,
    )
    last: datetime | None = await con.fetchval(
        "select max(expires_at) from secret where owner_kind = 'endpoint' and owner_id = $1", endpoint_id
    )
    return last


def parsed_networks(networks: Sequence[str]) -> list[str]:
    """Return the networks in their shortest form, an address as a network of its own, each once.

    Raises:
        ConfigInvalid: One of them is no CIDR, or there are too many.
    """
    if len(networks) > MOST_NETWORKS:
        raise ConfigInvalid(f"networks: at most {MOST_NETWORKS} can be listed; join some of them.")
    found: list[str] = []
    for number, text in enumerate(networks):
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError as error:
            raise ConfigInvalid(
                f"networks.{number}: {error}; write 192.0.2.0/24, 2001:db8::/32 or one address."
            ) from None
        found.append(str(network))
    return list(dict.fromkeys(found))
