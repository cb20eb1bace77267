"""Links by which a person chooses a new password; of the link only the hash is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from aiops_host.data.session import Connection, Database


@dataclass(frozen=True, slots=True)
class Reset:
    """Whose password a link changes, and until when."""

    user_id: UUID
    email: str
    expires_at: datetime


async def open_(con: Connection, token_hash: bytes, user_id: UUID, lifetime: timedelta, *, shown: bool) -> datetime:
    """Store a link in place of the person's earlier one; ``shown``: somebody else than the person sees it."""
    ends: datetime = await con.fetchval("select reset_open($1, $2, $3, $4)", token_hash, user_id, lifetime, shown)
    return ends


async def look(database: Database, token_hash: bytes) -> Reset | None:
    """Return whose link this is; ``None`` once it was used or has expired."""
    async with database.role("app") as con:
        row = await con.fetchrow("select * from reset_look($1)", token_hash)
    return Reset(**dict(row)) if row else None


async def take(con: Connection, token_hash: bytes, password_hash: str) -> UUID | None:
    """Use a link up: set the password, end the person's sessions; ``None`` if it was used or has expired."""
    who: UUID | None = await con.fetchval("select reset_take($1, $2)", token_hash, password_hash)
    return who
