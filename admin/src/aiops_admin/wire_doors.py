"""What the host's API answers about tenants, connections and webhook addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's own settings."""

    contact: str = ""
    overlap_hours: float = 24


class TenantDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant with its settings."""

    slug: str
    name: str
    state: str
    state_since: datetime
    created_at: datetime
    settings: TenantSettings
    note: str | None = None


class TenantLine(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant in the list of all."""

    slug: str
    name: str
    state: str
    created_at: datetime


class BegunDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant on its way out."""

    tenant: TenantDetail
    keys_left: str = ""


class TicketingTool(msgspec.Struct, frozen=True, kw_only=True):
    """An installed ticketing tool and what a connection to it needs."""

    name: str
    title: str
    schema: dict[str, Any]
    secrets: tuple[str, ...] = ()
    setup_help: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A test that a worker makes."""

    id: UUID
    state: str
    result: str | None = None
    finished_at: datetime | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, without its secrets."""

    id: UUID
    name: str
    ticketing_tool: str
    state: str
    created_at: datetime
    config: dict[str, Any] = {}
    credentials: tuple[str, ...] = ()
    run_on: tuple[str, ...] = ()
    link_hosts: tuple[str, ...] = ()
    account_id: str | None = None
    state_reason: str | None = None
    webhook_path: str | None = None
    last_test: Probe | None = None


class CreatedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A new connection; its secret is shown once."""

    connection_id: UUID
    webhook_url: str
    webhook_secret: str
    headers: dict[str, str] = {}
    setup_help: str = ""

    def __repr__(self) -> str:
        return f"CreatedConnection({self.connection_id})"


class RotatedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A new webhook secret, shown once."""

    webhook_url: str
    webhook_secret: str
    headers: dict[str, str] = {}
    previous_until: datetime | None = None
    ended: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return "RotatedSecret()"


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a webhook secret, without its value."""

    version: int
    current: bool
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook address."""

    id: str
    webhook_url: str
    networks: tuple[str, ...] = ()
    secrets: tuple[SecretVersion, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that was refused, and what to change."""

    at: datetime
    check: str
    what: str
    advice: str
    times: int = 1
    address: str | None = None
    header_names: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with its last refusals, newest first."""

    endpoint: Endpoint
    summary: str
    refusals: tuple[Refusal, ...] = ()
