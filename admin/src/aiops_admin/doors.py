"""The host's API of tenants, connections and webhook addresses, for one person in one tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from aiops_admin.client import Api
from aiops_admin.wire_doors import (
    BegunDeletion,
    Connection,
    CreatedConnection,
    Endpoint,
    Explanation,
    Probe,
    RotatedSecret,
    TenantDetail,
    TenantLine,
    TicketingTool,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Doors:
    """Calls with the person's token; those about a tenant name the one given."""

    api: Api
    token: str
    tenant: str | None = None

    async def tenants(self) -> tuple[TenantLine, ...]:
        """Return every tenant."""
        return await self.api.call("GET", "/tenants", self.token, tuple[TenantLine, ...])

    async def create_tenant(self, slug: str, name: str) -> TenantLine:
        """Make a tenant."""
        return await self.api.call("POST", "/tenants", self.token, TenantLine, json={"slug": slug, "name": name})

    async def show_tenant(self) -> TenantDetail:
        """Return the tenant with its settings."""
        return await self._tenant("GET")

    async def change_tenant(self, changes: dict[str, Any]) -> TenantDetail:
        """Change name and settings."""
        return await self._tenant("PATCH", json=changes)

    async def suspend(self, *, resume: bool) -> TenantDetail:
        """Suspend the tenant, or let it go on."""
        return await self._tenant("POST", "/resume" if resume else "/suspend")

    async def delete_tenant(self, typed: str) -> BegunDeletion:
        """Delete the tenant."""
        query = {"tenant": self.tenant, "confirm": typed}
        return await self.api.call("DELETE", "/tenant", self.token, BegunDeletion, query=query)

    async def tools(self) -> tuple[TicketingTool, ...]:
        """Return the installed ticketing tools."""
        return await self.api.call("GET", "/ticketing-tools", self.token, tuple[TicketingTool, ...])

    async def connections(self) -> tuple[Connection, ...]:
        """Return the tenant's connections."""
        return await self._of("GET", "", tuple[Connection, ...])

    async def create_connection(self, new: dict[str, Any]) -> CreatedConnection:
        """Make a connection."""
        return await self._of("POST", "", CreatedConnection, json=new)

    async def change_config(self, connection_id: UUID, values: dict[str, Any]) -> Connection:
        """Change fields of a connection's configuration."""
        return await self._of("PUT", f"/{connection_id}/config", Connection, json=values)

    async def pause(self, connection_id: UUID, *, resume: bool) -> Connection:
        """Pause a connection, or let it go on."""
        return await self._of("POST", f"/{connection_id}/{'resume' if resume else 'pause'}", Connection)

    async def test(self, connection_id: UUID) -> Probe:
        """Have a worker test a connection."""
        return await self._of("POST", f"/{connection_id}/test", Probe)

    async def delete_connection(self, connection_id: UUID, typed: str) -> None:
        """Delete a connection."""
        query = {"tenant": self.tenant, "confirm": typed}
        await self.api.call("DELETE", f"/connections/{connection_id}", self.token, type(None), query=query)

    async def explain(self, connection_id: UUID) -> Explanation:
        """Return a connection's endpoint with its last refusals."""
        return await self._of("GET", f"/{connection_id}/refusals", Explanation)

    async def rotate(self, connection_id: UUID, hours: float | None) -> RotatedSecret:
        """Make a new webhook secret."""
        wish = {} if hours is None else {"overlap_hours": hours}
        return await self._of("POST", f"/{connection_id}/endpoint/secrets", RotatedSecret, json=wish)

    async def end_overlap(self, connection_id: UUID) -> Endpoint:
        """Refuse every secret but the newest."""
        return await self._of("DELETE", f"/{connection_id}/endpoint/secrets", Endpoint)

    async def set_networks(self, connection_id: UUID, networks: list[str]) -> Endpoint:
        """Say which networks may post."""
        return await self._of("PUT", f"/{connection_id}/endpoint/networks", Endpoint, json={"networks": networks})

    async def _tenant(self, method: str, path: str = "", json: object = None) -> TenantDetail:
        query = {"tenant": self.tenant}
        return await self.api.call(method, f"/tenant{path}", self.token, TenantDetail, query=query, json=json)

    async def _of(self, method: str, path: str, answer: type[T], json: object = None) -> T:
        query = {"tenant": self.tenant}
        return await self.api.call(method, f"/connections{path}", self.token, answer, query=query, json=json)
