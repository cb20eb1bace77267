"""People, their memberships and their sessions; no function here sees a password or a token in clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from aiops_host.data.session import Database

TenantRole = Literal["tenant-admin", "technician", "read-only"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who a login claims to be. ``locked`` is by PostgreSQL's clock."""

    user_id: UUID
    password_hash: str
    locked: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One membership of a person."""

    tenant_id: UUID
    slug: str
    role: TenantRole


@dataclass(frozen=True, slots=True)
class Person:
    """Who a live session belongs to."""

    user_id: UUID
    email: str
    platform_admin: bool
    memberships: tuple[Member, ...]


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
        user_id: UUID = await con.fetchval(
            "select user_put($1, $2, $3, $4)", uuid4(), email, password_hash, platform_admin
        )
    for tenant_id, role in (roles or {}).items():
        async with database.tenant(tenant_id) as con:
            await con.execute(
                "insert into membership (tenant_id, user_id, role) values ($1, $2, $3) "
                "on conflict (tenant_id, user_id) do update set role = excluded.role",
                tenant_id,
                user_id,
                role,
            )
    return user_id


async def add_roles(database: Database, user_id: UUID, roles: Mapping[UUID, TenantRole]) -> bool:
    """Add memberships of a person; return whether none of them was there before, and change nothing otherwise."""
    for tenant_id, role in roles.items():
        async with database.tenant(tenant_id) as con:
            added = await con.fetchval(
                "insert into membership (tenant_id, user_id, role) values ($1, $2, $3) "
                "on conflict (tenant_id, user_id) do nothing returning true",
                tenant_id,
                user_id,
                role,
            )
        if not added:
            return False
    return True


async def candidate(database: Database, email: str) -> Candidate | None:
    """Return who has the address, if anyone."""
    async with database.role("app") as con:
        row = await con.fetchrow("select * from login_candidate($1)", email)
    return Candidate(row["user_id"], row["password_hash"], row["locked"]) if row else None


async def count_failure(database: Database, user_id: UUID) -> None:
    """Count a wrong password; from the fifth in a row on the person is locked out, ever longer."""
    async with database.role("app") as con:
        await con.execute("select login_failed($1)", user_id)


async def open_session(database: Database, token_hash: bytes, user_id: UUID, lifetime: timedelta) -> datetime:
    """Start a session, forget failed logins, and return when the session ends."""
    async with database.role("app") as con:
        ends: datetime = await con.fetchval("select session_open($1, $2, $3)", token_hash, user_id, lifetime)
    return ends


async def find_session(database: Database, token_hash: bytes, idle: timedelta) -> Person | None:
    """Return whose live session this is, and note that it was used; ``None`` once it ended or idled too long."""
    async with database.role("app") as con:
        rows = await con.fetch("select * from session_find($1, $2)", token_hash, idle)
    if not rows:
        return None
    members = tuple(Member(r["tenant_id"], r["tenant_slug"], r["role"]) for r in rows if r["tenant_id"] is not None)
    return Person(rows[0]["user_id"], rows[0]["email"], rows[0]["platform_admin"], members)


async def close_session(database: Database, token_hash: bytes) -> None:
    """End a session; one that is gone is fine."""
    async with database.role("app") as con:
        await con.execute("select session_close($1)", token_hash)
