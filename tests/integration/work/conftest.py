"""Deliveries, effects and a ticketing tool to work on, in a real database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from tests.support.databases import TenantRow, TwoTenants

from aiops_core import (
    EffectMarker,
    Enhancement,
    Paragraph,
    RemoteRef,
    Ticket,
    TicketingToolPlugin,
    TicketMetadata,
    WebhookProof,
    WebhookRequest,
)
from aiops_host.data import claims, effects, runs
from aiops_host.data.claims import DeliveryClaim
from aiops_host.data.effects import EffectClaim
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.work.settle import Settler

LEASE = timedelta(seconds=30)
NOW = Ticket(id="T-1", title="VPN drops")


@dataclass
class Board:
    """Puts deliveries into the database and takes them up, as intake and worker do."""

    database: Database

    async def connection(self, tenant: TenantRow) -> UUID:
        """Store a connection."""
        connection_id = uuid4()
        async with self.database.tenant(tenant.tenant_id) as con:
            await con.execute(
                "insert into connection (tenant_id, connection_id, name, ticketing_tool) values ($1, $2, $3, 'paper')",
                tenant.tenant_id,
                connection_id,
                connection_id.hex,
            )
        return connection_id

    async def delivery(self, tenant: TenantRow, connection_id: UUID, ticket: str | None = None) -> UUID:
        """Store a queued delivery about ``ticket``, by default one of its own."""
        delivery_id = uuid4()
        async with self.database.tenant(tenant.tenant_id) as con:
            await con.execute(
                "insert into delivery (tenant_id, delivery_id, connection_id, endpoint_id, external_id, headers, body, "
                "proof_scheme, ticket_id, kind, action, state) "
                "values ($1, $2, $3, 'e', $4, '{}', '', 'test', $5, 'opened', 'run', 'queued')",
                tenant.tenant_id,
                delivery_id,
                connection_id,
                delivery_id.hex,
                ticket or delivery_id.hex,
            )
        return delivery_id

    async def claim(self, tenant: TenantRow, delivery_id: UUID, worker: str = "w") -> DeliveryClaim | None:
        """Claim a delivery with the production lease."""
        return await claims.claim(
            self.database, tenant.tenant_id, delivery_id, worker=worker, lease=LEASE, max_crashes=5
        )

    async def planned(self, tenant: TenantRow, connection_id: UUID, ticket: str = "T-1") -> tuple[DeliveryClaim, UUID]:
        """Store a delivery whose run has finished and whose note is planned."""
        claim = await self.claim(tenant, await self.delivery(tenant, connection_id, ticket))
        assert claim is not None
        return claim, await self.plan(claim)

    async def plan(self, claim: DeliveryClaim, text: str = "a note") -> UUID:
        """End the run of a claimed delivery with a planned note."""
        run_id = uuid4()
        async with self.database.tenant(claim.tenant_id) as con:
            await runs.store(con, claim, _run(run_id))
            planned = await effects.plan(con, claim, run_id, Enhancement(body=(Paragraph(text),)))
            await claims.move(con, claim, state="posting", outcome="planned")
        return planned.effect_id

    async def expire(self, tenant: TenantRow, table: str) -> None:
        """Let every lease of the table end now, as if its worker had died long ago."""
        async with self.database.tenant(tenant.tenant_id) as con:
            await con.execute(
                f"update {table} set lease_until = now() - interval '1 second' where lease_until is not null"  # noqa: S608 - a table of ours
            )

    async def make_due(self, tenant: TenantRow) -> None:
        """Let every wait end now."""
        async with self.database.tenant(tenant.tenant_id) as con:
            for table in ("delivery", "effect"):
                await con.execute(f"update {table} set due_at = now()")  # noqa: S608 - a table of ours
            await con.execute("update connection set wait_until = null")

    async def row(self, tenant: TenantRow, table: str, key: UUID) -> dict[str, object]:
        """Return one delivery, effect or connection."""
        async with self.database.tenant(tenant.tenant_id) as con:
            return dict(await con.fetchrow(f"select * from {table} where {table}_id = $1", key))  # noqa: S608 - a table of ours


def _run(run_id: UUID) -> runs.FinishedRun:
    now = datetime.now(UTC)
    return runs.FinishedRun(
        run_id=run_id, agent="test", agent_version="1", started_at=now, finished_at=now, steps=[], ticket=NOW
    )


@dataclass
class PaperTool(TicketingToolPlugin):
    """A ticketing tool on paper: keeps its notes, and misbehaves as the next entries of ``script`` say."""

    notes: dict[str, list[str]] = field(default_factory=dict)
    script: list[Callable[[PaperTool, str, str], Awaitable[None]]] = field(default_factory=list)
    searchable: bool = True
    deletable: bool = True
    blind: Exception | None = None
    looks: int = 0
    writes: int = 0

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Accept everything."""
        return WebhookProof(scheme="none", secret_index=0)

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Tell of one ticket."""
        return TicketMetadata(ticket_id="T-1", kind="opened")

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket."""
        return Ticket(id=ticket_id, title="VPN drops")

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Keep the note, or do what the script says."""
        self.writes += 1
        if self.script:
            await self.script.pop(0)(self, ticket_id, marker.reference)
        else:
            self.keep(ticket_id, marker.reference)
        return RemoteRef(id=f"{len(self.notes[ticket_id])}", url="https://paper.example/1")

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        """Find the kept notes that carry the marker."""
        self.looks += 1
        if self.blind is not None:
            raise self.blind
        if not self.searchable:
            return await super().find_effects(ticket_id, marker)
        return [RemoteRef(id=str(i)) for i, r in enumerate(self.notes.get(ticket_id, []), 1) if r == marker.reference]

    async def delete_effect(self, ticket_id: str, ref: RemoteRef) -> None:
        """Strike a note out."""
        if not self.deletable:
            await super().delete_effect(ticket_id, ref)
        self.notes[ticket_id][int(ref.id) - 1] = "struck out"

    def keep(self, ticket_id: str, reference: str) -> None:
        """Put a note on the ticket."""
        self.notes.setdefault(ticket_id, []).append(reference)


@dataclass
class Desk:
    """A settler with its tool: takes planned effects up and carries them out."""

    board: Board
    tool: PaperTool
    settings: Settings = field(default_factory=Settings)
    posted: list[EffectClaim] = field(default_factory=list)

    async def take(self, tenant: TenantRow, effect_id: UUID) -> EffectClaim | None:
        """Claim an effect."""
        return await effects.claim(self.board.database, tenant.tenant_id, effect_id, worker="w", lease=LEASE)

    async def settle(self, tenant: TenantRow, effect_id: UUID) -> str | None:
        """Claim an effect and take it as far as it goes."""
        claim = await self.take(tenant, effect_id)
        return None if claim is None else await self.carry_out(claim)

    async def carry_out(self, claim: EffectClaim) -> str:
        """Take a claimed effect as far as it goes."""
        settler = Settler(
            database=self.board.database, settings=self.settings, posted=lambda c, _: self.posted.append(c)
        )
        return await settler.settle(claim, self.tool)


@pytest.fixture
def board(opened: Database) -> Board:
    """Deliveries of the test's database."""
    return Board(opened)


@pytest.fixture
def desk(board: Board) -> Desk:
    """A settler with a well-behaved tool."""
    return Desk(board, PaperTool())


@pytest.fixture
def tenant(two_tenants: TwoTenants) -> TenantRow:
    """The tenant of a test that needs one only."""
    return two_tenants.a
