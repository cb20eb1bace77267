"""People, their memberships and their sessions; no function here sees a password or a token in clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec

from aiops_host.data.session import Connection, Database

TenantRole = Literal["tenant-admin", "technician", "read-only"]


SessionMethod = Literal["password", "oidc"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who a login claims to be. ``locked`` is by PostgreSQL's clock; without a password the hash is empty."""

    user_id: UUID
    email: str
    password_hash: str
    locked: bool
    active: bool
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One membership of a person."""

    tenant_id: UUID
    slug: str
    role: TenantRole


@dataclass(frozen=True, slots=True)
class Person:
    """Who a live session or an API token belongs to; of a token, ``session_id`` and ``method`` are ``None``."""

    user_id: UUID
    email: str
    platform_admin: bool
    memberships: tuple[Member, ...]
    second_factor: bool = False
    session_id: UUID | None = None
    method: SessionMethod | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session is opened from, as its owner is shown it; bounded by whoever makes it."""

    method: SessionMethod = "password"
    address: str = ""
    agent: str = ""


NOWHERE = Origin()


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A live session of a person, as they are shown it."""

    id: UUID
    method: SessionMethod
    address: str
    agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    current: bool


async def put_user(
    database: Database,
    email: str,
    password_hash: str,
    *,
    platform_admin: bool = False,
    roles: Mapping[UUID, TenantRole] | None = None,
) -> UUID:
    """Make a person or give them a new password; roles by tenant id are added or changed, never taken away.

    Every session the person has ends.
    """
    async with database.role("app") as con:
        user_id = await put_person(con, email, password_hash, platform_admin=platform_admin)
    for tenant_id, role in (roles or {}).items():
        async with database.tenant(tenant_id) as con:
            await put_membership(con, tenant_id, user_id, role)
    return user_id


async def put_person(con: Connection, email: str, password_hash: str, *, platform_admin: bool = False) -> UUID:
    """Make a person or give them a new password, which ends their sessions; nobody is demoted."""
    user_id: UUID = await con.fetchval("select user_put($1, $2, $3, $4)", uuid4(), email, password_hash, platform_admin)
    return user_id


async def put_membership(con: Connection, tenant_id: UUID, user_id: UUID, role: TenantRole) -> None:
    """Give a person a role in the session's tenant, whatever they had there before."""
    await con.execute(
        "insert into membership (tenant_id, user_id, role) values ($1, $2, $3) "
        "on conflict (tenant_id, user_id) do update set role = excluded.role",
        tenant_id,
        user_id,
        role,
    )


async def add_membership(con: Connection, tenant_id: UUID, user_id: UUID, role: TenantRole) -> bool:
    """Add a membership; False, and nothing changed, for who belongs to the session's tenant already."""
    return bool(
        await con.fetchval(
            "insert into membership (tenant_id, user_id, role) values ($1, $2, $3) "
            "on conflict (tenant_id, user_id) do nothing returning true",
            tenant_id,
            user_id,
            role,
        )
    )


async def candidate(database: Database, email: str) -> Candidate | None:
    """Return who has the address, if anyone."""
    async with database.role("app") as con:
        row = await con.fetchrow("select * from login_candidate($1)", email)
    return Candidate(**dict(row)) if row else None


async def count_failure(database: Database, user_id: UUID) -> None:
    """Count a wrong password; from the fifth in a row on the person is locked out, ever longer."""
    async with database.role("app") as con:
        await con.execute("select login_failed($1)", user_id)


async def open_session(
    con: Connection, token_hash: bytes, user_id: UUID, lifetime: timedelta, origin: Origin = NOWHERE
) -> datetime | None:
    """Start a session, forget failed logins, and return when the session ends; ``None`` for who was deactivated."""
    ends: datetime | None = await con.fetchval(
        "select session_open($1, $2, $3, $4, $5, $6)",
        token_hash,
        user_id,
        lifetime,
        origin.method,
        origin.address,
        origin.agent,
    )
    return ends


async def find_session(database: Database, token_hash: bytes, idle: timedelta) -> Person | None:
    """Return whose live session this is, and note that it was used; ``None`` once it ended or idled too long."""
    async with database.role("app") as con:
        rows = await con.fetch("select * from session_find($1, $2)", token_hash, idle)
    if not rows:
        return None
    return person_of(rows, session_id=rows[0]["session_id"], method=rows[0]["method"])


async def find_person(database: Database, email: str) -> Person | None:
    """Return who has an address, with their roles, if anyone."""
    async with database.role("app") as con:
        rows = await con.fetch("select * from person_find($1)", email)
    return person_of(rows) if rows else None


@dataclass(frozen=True, slots=True)
class Bound:
    """Whom a provider's name stands for; ``fresh``: since just now."""

    user_id: UUID
    email: str
    fresh: bool


async def bind_identity(con: Connection, issuer: str, subject: str, email: str) -> Bound | None:
    """Return whom a provider's name for a person stands for; the first time, who has the address it vouches for.

    ``None`` if nobody has it, if they are bound to another name, or are kept out. A password that was chosen by a link
    somebody else had seen is taken away with all it opened.
    """
    row = await con.fetchrow("select * from oidc_person($1, $2, $3)", issuer, subject, email)
    return Bound(**dict(row)) if row else None


def person_of(
    rows: Sequence[Mapping[str, Any]], *, session_id: UUID | None = None, method: SessionMethod | None = None
) -> Person:
    """Return the person of one row per membership, of which there may be a single one with no tenant."""
    first = rows[0]
    return Person(
        user_id=first["user_id"],
        email=first["email"],
        platform_admin=first["platform_admin"],
        memberships=tuple(
            Member(r["tenant_id"], r["tenant_slug"], r["role"]) for r in rows if r["tenant_id"] is not None
        ),
        second_factor=first["second_factor"],
        session_id=session_id,
        method=method,
    )


async def close_session(database: Database, token_hash: bytes) -> None:
    """End a session; one that is gone is fine."""
    async with database.role("app") as con:
        await con.execute("select session_close($1)", token_hash)


async def list_sessions(database: Database, user_id: UUID, idle: timedelta, current: UUID | None) -> list[SessionView]:
    """Return a person's live sessions, the one used last first; ``current`` is the one that asks."""
    async with database.role("app") as con:
        rows = await con.fetch("select * from session_list($1, $2)", user_id, idle)
    return [
        SessionView(id=r["session_id"], current=r["session_id"] == current, **{n: r[n] for n in _SHOWN}) for r in rows
    ]


async def end_sessions(con: Connection, user_id: UUID, session_id: UUID | None = None) -> int:
    """End one session of a person, or all of them; return how many ended."""
    ended: int = await con.fetchval("select session_end($1, $2)", user_id, session_id)
    return ended


_SHOWN = ("method", "address", "agent", "created_at", "last_seen_at", "expires_at")
