"""What the host's API answers, as far as the dashboard shows it; fields it does not know are ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from aiops_core.tickets import Block


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session."""

    token: str

    def __repr__(self) -> str:
        return "Login()"


class TenantRole(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant the person may choose, and as what."""

    slug: str
    role: str


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in."""

    email: str
    platform_admin: bool = False
    tenants: tuple[TenantRole, ...] = ()


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant by its full name; for platform administrators."""

    slug: str
    name: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list."""

    id: UUID
    received_at: datetime
    connection: str
    ticketing_tool: str
    ticket_id: str | None = None
    title: str | None = None
    kind: str | None = None
    action: str = "none"
    state: str = ""
    reason: str | None = None
    trigger: str = "scheduled"
    dry_run: bool = False
    attempt: int = 0
    due_at: datetime | None = None
    finished_at: datetime | None = None
    note_url: str | None = None


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries, newest first; ``next`` asks for the page after this one."""

    items: tuple[Delivery, ...]
    next: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a delivery."""

    number: int
    trigger: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    reason: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One agent execution."""

    id: UUID
    attempt: int
    agent: str
    state: str
    started_at: datetime
    finished_at: datetime
    agent_version: str = ""
    dry_run: bool = False
    error: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One timed part of a run."""

    number: int
    name: str
    milliseconds: float
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    error: str | None = None
    model: str | None = None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One intended note and what became of it."""

    id: UUID
    state: str
    planned_at: datetime
    blocks: tuple[Block, ...]
    reason: str | None = None
    note_url: str | None = None
    confirmed_at: datetime | None = None


class DeliveryDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with all that came of it."""

    delivery: Delivery
    external_id: str = ""
    proof_scheme: str = ""
    body_bytes: int = 0
    attempts: tuple[Attempt, ...] = ()
    runs: tuple[Run, ...] = ()
    effects: tuple[Effect, ...] = ()


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its steps and the note it wrote, posted or not."""

    run: Run
    steps: tuple[Step, ...] = ()
    enhancement: dict[str, Any] | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, as far as an empty list needs it."""

    name: str
    ticketing_tool: str
    webhook_path: str | None = None
