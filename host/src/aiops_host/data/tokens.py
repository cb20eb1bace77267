"""API tokens as stored: of the token itself only the hash and its first characters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data.cursors import cursor_of, position_of
from aiops_host.data.people import Person, person_of
from aiops_host.data.session import Connection, Database

MAX_PAGE = 200


class UnknownToken(AiopsError):
    """There is no such token."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token may reach at most: one tenant or all its owner's, one role, and of that some permissions or all."""

    token_id: UUID
    tenant_id: UUID | None
    role: str
    permissions: frozenset[str] | None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed. ``hint`` is how it begins; no ``tenant``: every tenant of its owner."""

    id: UUID
    owner: str
    tenant: str | None
    name: str
    hint: str
    role: str
    permissions: list[str] | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, newest first; ``next`` asks for the page after this one."""

    items: list[TokenView]
    next: str | None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token to store."""

    user_id: UUID
    tenant_id: UUID | None
    name: str
    hint: str
    role: str
    permissions: list[str] | None
    lifetime: timedelta


async def put(con: Connection, token_hash: bytes, new: NewToken) -> tuple[UUID, datetime]:
    """Store a token; return its id and when it expires."""
    token_id = uuid4()
    expires: datetime = await con.fetchval(
        "select token_put($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        token_id,
        token_hash,
        new.user_id,
        new.tenant_id,
        new.name,
        new.hint,
        new.role,
        new.permissions,
        new.lifetime,
    )
    return token_id, expires


async def find(database: Database, token_hash: bytes) -> tuple[Person, Grant] | None:
    """Return whose token this is and what it may reach, and note that it was used; ``None`` once it is dead."""
    async with database.role("app") as con:
        rows = await con.fetch("select * from token_find($1)", token_hash)
    if not rows:
        return None
    first = rows[0]
    only = first["token_permissions"]
    grant = Grant(
        first["token_id"], first["token_tenant"], first["token_role"], None if only is None else frozenset(only)
    )
    return person_of(rows), grant


async def list_(
    database: Database, *, user_id: UUID | None, tenant_id: UUID | None, limit: int, cursor: str | None = None
) -> TokenPage:
    """Return a page of the tokens of a person, or of those made for a tenant.

    Raises:
        CursorInvalid: The cursor is not one an earlier page gave.
    """
    limit = max(1, min(limit, MAX_PAGE))
    moment, last = position_of(cursor) if cursor is not None else (None, None)
    async with database.role("app") as con:
        rows = await con.fetch(
            "select token_id as id, email as owner, tenant_slug as tenant, name, hint, role, permissions, created_at, "
            "expires_at, last_used_at from token_list($1, $2, $3, $4, $5)",
            user_id,
            tenant_id,
            moment,
            last,
            limit + 1,
        )
    items = [TokenView(**dict(row)) for row in rows[:limit]]
    return TokenPage(items=items, next=cursor_of(items[-1].created_at, items[-1].id) if len(rows) > limit else None)


async def drop(con: Connection, token_id: UUID, *, user_id: UUID | None, tenant_id: UUID | None) -> str:
    """Revoke a token of a person, or one made for a tenant; return its name.

    Raises:
        UnknownToken: There is none of that id, or it is not theirs.
    """
    name: str | None = await con.fetchval("select token_drop($1, $2, $3)", token_id, user_id, tenant_id)
    if name is None:
        raise UnknownToken
    return name
