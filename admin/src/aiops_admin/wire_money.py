"""What the host's API answers about model providers, keys, budgets and usage."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from aiops_admin.wire_doors import Probe


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider of the operator's catalogue and the tenant's key for it, never its plaintext."""

    name: str
    title: str
    address: str = ""
    needs_endpoint: bool = False
    position: int = 0
    state: str = "none"
    origin: str | None = None
    models: tuple[str, ...] = ()
    endpoint: str | None = None
    since: datetime | None = None
    test: Probe | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget and how far it is used; ``sentence`` says what that means."""

    set_by: str
    period: str
    renews: date
    tokens: int | None = None
    usd: float | None = None
    used_tokens: int = 0
    used_usd: float = 0.0
    share: float = 0.0
    level: str = "ok"
    sentence: str = ""


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a budget in USD keeps from being asked; ``sentence`` says why and how to mend it."""

    model: str
    provider: str
    sentence: str


class TenantBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's budget, for platform administrators."""

    tenant: str
    budget: Budget


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A day's use of one model by one agent."""

    day: date
    agent: str
    provider: str
    model: str
    calls: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced_calls: int = 0
    doubtful_tokens: int = 0
    doubtful_usd: float = 0.0
