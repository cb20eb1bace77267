"""Worker processes: each says every few seconds that it lives, and the host reads who did."""

from __future__ import annotations

from datetime import datetime

import msgspec

from aiops_host.data.session import Connection, Database

ALIVE_SECONDS = 30.0
"""Six times as long as a worker waits between two signs of life."""
FORGOTTEN_SECONDS = 600.0
"""A worker silent for longer was replaced or taken away, and is not listed any more."""


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's sign of life: its slots, the deliveries it works on, its PostgreSQL connections."""

    name: str
    slots: int
    running: int
    pool_in_use: int
    pool_size: int


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process. ``alive`` tells whether its last sign is less than ``ALIVE_SECONDS`` old."""

    name: str
    started_at: datetime
    seen_at: datetime
    alive: bool
    slots: int
    running: int
    pool_in_use: int
    pool_size: int


async def beat(con: Connection, sign: Beat) -> None:
    """Note a sign of life; ``con`` is the sweeper's."""
    await con.execute(
        "select worker_beat($1, $2, $3, $4, $5)", sign.name, sign.slots, sign.running, sign.pool_in_use, sign.pool_size
    )


async def list_(database: Database) -> list[WorkerView]:
    """Return the workers seen of late, by name."""
    async with database.role("app") as con:
        rows = [dict(row) for row in await con.fetch("select * from worker_directory()")]
    recent = [(row.pop("silent_seconds"), row) for row in rows]
    return [WorkerView(alive=silent <= ALIVE_SECONDS, **row) for silent, row in recent if silent <= FORGOTTEN_SECONDS]
