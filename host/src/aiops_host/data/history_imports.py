"""How far the import of a connection's past tickets has come, so that it goes on where it stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.session import Connection

PROBE: Final = "history-import"
"""The kind of probe that reads a part of a connection's past tickets; see :class:`Wanted` and :class:`Progress`."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The target of such a probe, as JSON."""

    connection_id: UUID
    since: datetime


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What such a probe answers, as JSON.

    ``reached`` is the cursor after it, ``answered`` whether any ticket was read. ``trouble`` is why the ticketing tool was
    not read on, in a sentence, and ``wait`` how many seconds it asked for; both are ``None`` where it gave no trouble.
    """

    count: UpsertCount
    reached: datetime
    done: bool
    answered: bool
    trouble: str | None = None
    wait: float | None = None


async def begin(con: Connection, tenant_id: UUID, connection_id: UUID, since: datetime) -> datetime:
    """Return from when to read: where an earlier import of the same span stopped, else ``since``."""
    reached: datetime = await con.fetchval(
        """
        insert into history_import as h (tenant_id, connection_id, since, reached) values ($1, $2, $3, $3)
        on conflict (tenant_id, connection_id) do update
            set since = least(h.since, excluded.since), finished_at = null,
                reached = case when h.since <= excluded.since then greatest(h.reached, excluded.reached)
                               else excluded.reached end
        returning h.reached
        """,
        tenant_id,
        connection_id,
        since,
    )
    return reached


async def advance(
    con: Connection, tenant_id: UUID, connection_id: UUID, reached: datetime | None, count: int
) -> datetime | None:
    """Record that every ticket updated before ``reached`` is in the history; in the session that stored them.

    Returns:
        From when to read on; ``None`` when the connection is gone.
    """
    cursor: datetime | None = await con.fetchval(
        "update history_import set reached = greatest(reached, $3), tickets = tickets + $4 "
        "where tenant_id = $1 and connection_id = $2 returning reached",
        tenant_id,
        connection_id,
        reached,
        count,
    )
    return cursor


async def finish(con: Connection, tenant_id: UUID, connection_id: UUID) -> None:
    """Record that the import came to its end."""
    await con.execute(
        "update history_import set finished_at = clock_timestamp() where tenant_id = $1 and connection_id = $2",
        tenant_id,
        connection_id,
    )
