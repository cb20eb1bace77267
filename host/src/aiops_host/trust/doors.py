"""What administrators do with a connection that is there: its secret, who may post, pause, resume, delete."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from aiops_core.config import load_config
from aiops_core.errors import AiopsError, ConfigInvalid
from aiops_core.registry import Registry, lookup
from aiops_host.data import connections as stored
from aiops_host.data import endpoints, erasure, probes, tenants
from aiops_host.data.connections import PAUSED_BY_HAND, PROBE, ConnectionState
from aiops_host.data.endpoints import MOST_OVERLAP, EndpointView, SecretView
from aiops_host.data.session import Connection, Database
from aiops_host.trust.audit import Actor, record
from aiops_host.trust.connections import SECRET_BYTES, WEBHOOK, declared, sender_headers
from aiops_host.trust.handles import out_of_reach, seal_all
from aiops_host.trust.vault import Vault


class ConnectionKept(AiopsError):
    """A connection is deleted only by who types its name: that cannot be undone."""


class TestRefused(AiopsError):
    """The tenant is suspended, so no worker works for it; resume it first."""


class RotatedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A new webhook secret, shown this once; ``headers`` are what the sender must add besides its proof.

    ``previous`` are those before it that stay valid, ``ended`` the versions that ended with this; ``previous_until`` is
    when the last secret before it expires, ``None`` when none is valid any more.
    """

    endpoint_id: str
    webhook_url: str
    webhook_secret: str
    headers: dict[str, str]
    version: int
    previous_until: datetime | None
    previous: list[SecretView]
    ended: list[int]

    def at(self, public_url: str) -> RotatedSecret:
        """Return the same with the webhook's whole address."""
        return msgspec.structs.replace(self, webhook_url=public_url + self.webhook_url)

    def __repr__(self) -> str:
        return f"RotatedSecret(endpoint_id={self.endpoint_id!r}, version={self.version!r})"


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """One person's hands on the connections of a tenant; every act is in the audit trail with their name."""

    database: Database
    actor: Actor
    tenant_id: UUID

    async def rotate_secret(
        self, vault: Vault, registry: Registry, connection_id: UUID, overlap_hours: float | None = None
    ) -> RotatedSecret:
        """Make a new webhook secret; those before stay valid for the overlap, two of them at most.

        Args:
            vault: Seals the secret.
            registry: The installed ticketing tools.
            connection_id: Whose secret it is.
            overlap_hours: How long the ones before stay valid; ``None`` for the tenant's own setting.

        Raises:
            UnknownConnection: The tenant has no such connection.
            UnknownContribution: No installed plugin provides the ticketing tool.
            ConfigInvalid: The overlap is longer than seven days.
        """
        async with self.database.tenant(self.tenant_id) as con:
            overlap = await self._overlap(overlap_hours)
            record_ = await stored.get(con, connection_id)
            endpoint = await endpoints.show(con, connection_id)
            spec = lookup(registry.ticketing_tools, record_.ticketing_tool)
            sealed = await stored.newest_secrets(con, "connection", str(connection_id))
            handles = {s.name: out_of_reach("connection", s.name) for s in sealed}
            config = load_config(spec.config, record_.config, declared(spec.config, handles))
            value = secrets.token_urlsafe(SECRET_BYTES)
            await seal_all(con, vault, self.tenant_id, ("endpoint", endpoint.id), {WEBHOOK: value})
            until = await endpoints.end_previous_secrets(con, endpoint.id, overlap)
            after = await endpoints.show(con, connection_id)
            facts = {"version": str(after.secrets[0].version), "overlap_hours": f"{overlap / timedelta(hours=1):g}"}
            await self._note(con, "connection.rotate", connection_id, facts)
        return RotatedSecret(
            endpoint_id=endpoint.id,
            webhook_url=endpoint.webhook_url,
            webhook_secret=value,
            headers=sender_headers(spec, config, value),
            version=after.secrets[0].version,
            previous_until=until,
            previous=after.secrets[1:],
            ended=sorted({s.version for s in endpoint.secrets} - {s.version for s in after.secrets}),
        )

    async def end_overlap(self, connection_id: UUID) -> EndpointView:
        """Refuse every webhook secret but the newest from now on.

        Raises:
            UnknownConnection: The tenant has no such connection.
        """
        async with self.database.tenant(self.tenant_id) as con:
            endpoint = await endpoints.show(con, connection_id)
            await endpoints.end_previous_secrets(con, endpoint.id, timedelta())
            await self._note(con, "connection.end-overlap", connection_id, {})
            return await endpoints.show(con, connection_id)

    async def restrict(self, connection_id: UUID, networks: Sequence[str]) -> EndpointView:
        """Let only these networks post; none: all.

        Raises:
            UnknownConnection: The tenant has no such connection.
            ConfigInvalid: One of them is no CIDR.
        """
        async with self.database.tenant(self.tenant_id) as con:
            endpoint = await endpoints.show(con, connection_id)
            kept = await endpoints.set_networks(con, endpoint.id, networks)
            await self._note(con, "connection.restrict", connection_id, {"networks": ", ".join(kept) or "all"})
            return await endpoints.show(con, connection_id)

    async def set_state(self, connection_id: UUID, state: ConnectionState) -> None:
        """Pause a connection or let it go on.

        Raises:
            UnknownConnection: The tenant has no such connection.
        """
        async with self.database.tenant(self.tenant_id) as con:
            reason = PAUSED_BY_HAND if state == "paused" else None
            await stored.set_state(self.database, self.tenant_id, connection_id, state, reason)
            await self._note(con, "connection.pause" if reason else "connection.resume", connection_id, {})

    async def ask_for_test(self, connection_id: UUID) -> UUID:
        """Have a worker ask the ticketing tool who we are; return the probe that will say what that showed.

        Raises:
            UnknownConnection: The tenant has no such connection.
            TestRefused: The tenant is suspended.
        """
        async with self.database.tenant(self.tenant_id) as con:
            await stored.get(con, connection_id)
            if (await tenants.get(self.database, self.tenant_id)).state != "active":
                raise TestRefused
            probe_id = await probes.ask(con, self.tenant_id, PROBE, str(connection_id))
            await self._note(con, "connection.test", connection_id, {})
        return probe_id

    async def delete(self, connection_id: UUID, confirmed: str) -> str:
        """Delete a connection with its address and secrets; its deliveries, runs and notes stay readable.

        Returns:
            The id of the endpoint that is gone.

        Raises:
            UnknownConnection: The tenant has no such connection.
            ConnectionKept: What was typed is not the connection's name.
        """
        async with self.database.tenant(self.tenant_id) as con:
            record_ = await stored.get(con, connection_id)
            if confirmed != record_.name:
                raise ConnectionKept(f"Type the name {record_.name!r} to delete this connection; it cannot be undone.")
            endpoint = await endpoints.show(con, connection_id)
            await erasure.remove_connection(con, connection_id)
            await self._note(con, "connection.delete", connection_id, {"name": record_.name})
        return endpoint.id

    async def _overlap(self, hours: float | None) -> timedelta:
        if hours is None:
            hours = (await tenants.get(self.database, self.tenant_id)).settings.overlap_hours
        overlap = timedelta(hours=hours)
        if not timedelta() <= overlap <= MOST_OVERLAP:
            raise ConfigInvalid("overlap_hours: at most 168 hours, which are seven days, and no less than 0.")
        return overlap

    async def _note(self, con: Connection, act: str, connection_id: UUID, facts: dict[str, str]) -> None:
        await record(
            con, tenant_id=self.tenant_id, actor=self.actor, act=act, subject=str(connection_id), details=facts
        )
