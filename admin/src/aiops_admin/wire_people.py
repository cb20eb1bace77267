"""What the host's API answers about people, their doors and their tokens, as far as the dashboard shows it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec


class FactorState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one has a second factor."""

    enrolled: bool
    since: datetime | None = None
    recovery_codes: int = 0


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app is enrolled with."""

    secret: str
    svg: str

    def __repr__(self) -> str:
        return "Enrolment()"


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Codes for a lost device."""

    codes: tuple[str, ...]

    def __repr__(self) -> str:
        return "RecoveryCodes()"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Where one is logged in."""

    id: UUID
    method: str
    address: str
    agent: str
    last_seen_at: datetime
    current: bool


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An API token as it is listed."""

    id: UUID
    owner: str
    name: str
    hint: str
    role: str
    tenant: str | None = None
    expires_at: datetime
    last_used_at: datetime | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A page of tokens."""

    items: tuple[Token, ...]
    next: str | None = None


class MadeToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token, this once."""

    token: str

    def __repr__(self) -> str:
        return "MadeToken()"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a tenant."""

    user_id: UUID
    email: str
    role: str
    active: bool
    second_factor: bool
    since: datetime


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """A page of members."""

    items: tuple[Member, ...]
    next: str | None = None


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An open invitation."""

    id: UUID
    email: str
    role: str
    invited_by: str
    expires_at: datetime


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a one-time link."""

    mailed: bool
    url: str | None = None
    problem: str | None = None

    def __repr__(self) -> str:
        return f"Link(mailed={self.mailed!r})"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that was just made."""

    invitation: Invitation
    link: Link


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the installation."""

    user_id: UUID
    email: str
    platform_admin: bool
    active: bool
    second_factor: bool
    locked: bool
    tenants: tuple[str, ...]
    last_seen_at: datetime | None = None


class Persons(msgspec.Struct, frozen=True, kw_only=True):
    """A page of people."""

    items: tuple[Person, ...]
    next: str | None = None
