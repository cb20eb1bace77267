"""What the host's API answers, as far as the dashboard shows it; fields it does not know are ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from aiops_core.tickets import Block

RowT = TypeVar("RowT", bound="Delivery | Run")


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session."""

    token: str

    def __repr__(self) -> str:
        return "Login()"


class LoginMethods(msgspec.Struct, frozen=True, kw_only=True):
    """How people may log in; ``provider`` is what its button is called."""

    provider: str | None = None
    forgot: bool = False


class TenantRole(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant the person may choose, and as what."""

    slug: str
    role: str


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in."""

    email: str
    platform_admin: bool = False
    second_factor: bool = False
    must_enrol: bool = False
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
    waits_for: str | None = None
    """The paused connection that must be resumed before anything happens to it."""
    suspended: bool = False
    """Whether it waits because its tenant is suspended."""


class PageOf(msgspec.Struct, Generic[RowT], frozen=True, kw_only=True):
    """Rows, newest first; ``next`` asks for the page after this one."""

    items: tuple[RowT, ...]
    next: str | None = None


DeliveryPage: TypeAlias = PageOf[Delivery]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a delivery."""

    number: int
    trigger: str
    started_at: datetime
    finished_at: datetime | None = None
    outcome: str | None = None
    reason: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One agent execution and what became of its note."""

    id: UUID
    attempt: int
    agent: str
    state: str
    started_at: datetime
    finished_at: datetime
    delivery_id: UUID | None = None
    connection: str = ""
    ticketing_tool: str = ""
    ticket_id: str = ""
    ticket_number: str | None = None
    ticket_url: str | None = None
    title: str | None = None
    agent_version: str = ""
    dry_run: bool = False
    outcome: str = ""
    error: str | None = None
    reason: str | None = None
    note_url: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    steps: int = 0


RunPage: TypeAlias = PageOf[Run]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One timed part of a run."""

    number: int
    name: str
    started_at: datetime
    milliseconds: float
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    error: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


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
    ticket: dict[str, Any] | None = None
    draft: dict[str, Any] | None = None
    enhancement: dict[str, Any] | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, as far as an empty list needs it."""

    name: str
    ticketing_tool: str
    webhook_path: str | None = None


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """An installed plugin: what it contributes, or why it does not."""

    name: str
    distribution: str
    version: str
    status: str
    error: str | None = None
    contributes: tuple[str, ...] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part the host needs."""

    name: str
    status: str
    detail: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the host can do its work."""

    status: str
    parts: tuple[Part, ...] = ()


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its goal; ``None`` while there is nothing to measure."""

    name: str
    unit: str
    rule: str
    goal: float
    detail: str
    value: float | None = None
    met: bool | None = None


class TenantFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's figures over the last ``hours``."""

    hours: int
    figures: tuple[Figure, ...]
    needs_attention: int = 0


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process."""

    name: str
    alive: bool
    started_at: datetime
    seen_at: datetime
    slots: int
    running: int
    pool_in_use: int = 0
    pool_size: int = 0


class TenantLine(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant among all of them."""

    slug: str
    name: str
    state: str
    ended: int
    posted: int
    waiting: int
    oldest_seconds: float
    needs_attention: int
    slowest_seconds: float | None = None


class InstallationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All tenants together; for platform administrators."""

    hours: int
    figures: tuple[Figure, ...]
    workers: tuple[Worker, ...] = ()
    tenants: tuple[TenantLine, ...] = ()


class ConnectionHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A connection and what is in its way."""

    id: UUID
    name: str
    ticketing_tool: str
    status: str
    reason: str | None = None
    wait_until: datetime | None = None
    last_webhook_at: datetime | None = None
    last_note_at: datetime | None = None
    waiting: int = 0
    given_up: int = 0
