"""What endpoints refused: the last twenty webhooks of each, as the intake records them and people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiops_host.data.session import Connection, Database

KEPT = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """One or more like webhooks that were refused within the same second; ``names`` are those of their headers."""

    at: datetime
    check: str
    detail: str
    address: str | None
    names: tuple[str, ...]
    times: int


async def record(database: Database, endpoint_id: str, refused: Sequence[Refusal]) -> None:
    """Store refusals, oldest first, as the intake's role; an endpoint that is gone keeps none.

    Raises:
        DatabaseBusy: No connection became free in time.
        DatabaseDown: PostgreSQL is away.
    """
    async with database.role("intake") as con:
        await con.execute(
            "select record_refusals($1, $2, $3, $4, $5, $6, $7)",
            endpoint_id,
            [one.at for one in refused],
            [one.check for one in refused],
            [one.detail for one in refused],
            [one.address for one in refused],
            [" ".join(one.names) for one in refused],
            [one.times for one in refused],
        )


async def last(con: Connection, endpoint_id: str) -> list[Refusal]:
    """Return an endpoint's refusals, newest first, inside the caller's tenant session."""
    rows = await con.fetch(
        "select refused_at as at, failed_check as check, detail, address, header_names as names, times from refusal "
        "where endpoint_id = $1 order by refusal_id desc limit $2",
        endpoint_id,
        KEPT,
    )
    return [Refusal(**{**dict(row), "names": tuple(row["names"])}) for row in rows]


async def note_secret_use(database: Database, endpoint_id: str, version: int, at: datetime) -> None:
    """Store when a secret was last used, as the intake's role.

    Raises:
        DatabaseBusy: No connection became free in time.
        DatabaseDown: PostgreSQL is away.
    """
    async with database.role("intake") as con:
        await con.execute("select note_secret_use($1, $2, $3)", endpoint_id, version, at)
