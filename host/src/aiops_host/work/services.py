"""What plugins are handed in the worker, each bound to one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from aiops_core.services import AssetInventory, Clock, HttpClient, KnowledgeBase, Log, TicketHistory
from aiops_core.tickets import Evidence
from aiops_host.data.retrieval import assets, history, knowledge
from aiops_host.data.session import Database


@dataclass(frozen=True, slots=True)
class TenantHistory:
    """Core's ``TicketHistory``."""

    database: Database
    tenant_id: UUID

    async def similar(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Return the past tickets most like ``text``."""
        return await self.database.reading(self.tenant_id, lambda con: history.similar(con, text, limit))


@dataclass(frozen=True, slots=True)
class TenantKnowledge:
    """Core's ``KnowledgeBase``."""

    database: Database
    tenant_id: UUID

    async def search(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Return the articles most about ``text``."""
        return await self.database.reading(self.tenant_id, lambda con: knowledge.search(con, text, limit))


@dataclass(frozen=True, slots=True)
class TenantAssets:
    """Core's ``AssetInventory``."""

    database: Database
    tenant_id: UUID

    async def find(self, keys: Sequence[str]) -> Sequence[Evidence]:
        """Return the assets that have one of the keys."""
        return await self.database.reading(self.tenant_id, lambda con: assets.find(con, keys))


@dataclass(slots=True)
class PluginServices:
    """Core's ``ToolServices``, of which the services of backends and agents are a part."""

    http: HttpClient
    clock: Clock
    log: Log
    history: TicketHistory
    knowledge: KnowledgeBase
    assets: AssetInventory
