"""Second factors and recovery codes as stored: one sealed, the others hashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from aiops_host.data.session import Connection, Database

OWNER_KIND: Final = "person"
NAME: Final = "totp"


@dataclass(frozen=True, slots=True)
class Factor:
    """A person's second factor; ``codes`` is how many recovery codes are left."""

    sealed: bytes
    version: int
    confirmed_at: datetime | None
    codes: int


async def begin(con: Connection, user_id: UUID, sealed: bytes, version: int) -> bool:
    """Store a secret that is not confirmed yet; False if the person has a confirmed one."""
    return bool(await con.fetchval("select factor_begin($1, $2, $3)", user_id, sealed, version))


async def find(database: Database, user_id: UUID) -> Factor | None:
    """Return a person's second factor, if they began with one."""
    async with database.role("app") as con:
        row = await con.fetchrow("select * from factor_find($1)", user_id)
    return Factor(**dict(row)) if row else None


async def use_step(con: Connection, user_id: UUID, step: int) -> bool:
    """Use up a time step and confirm the factor; False if this step or a later one was used before."""
    return bool(await con.fetchval("select factor_step($1, $2)", user_id, step))


async def reseal(con: Connection, user_id: UUID, old: bytes, new: bytes) -> bool:
    """Replace a secret's seal; return whether it was still the old one."""
    return bool(await con.fetchval("select factor_reseal($1, $2, $3)", user_id, old, new))


async def put_codes(con: Connection, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Replace all recovery codes."""
    await con.execute("select recovery_put($1, $2)", user_id, list(hashes))


async def use_code(con: Connection, user_id: UUID, code_hash: bytes) -> bool:
    """Use up a recovery code; False if the person has none of that hash."""
    return bool(await con.fetchval("select recovery_use($1, $2)", user_id, code_hash))


async def remove(con: Connection, user_id: UUID) -> bool:
    """Take the second factor and its recovery codes away; False if there was none."""
    return bool(await con.fetchval("select factor_remove($1)", user_id))
