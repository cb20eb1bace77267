"""How far the import of a connection's past tickets has come, so that it goes on where it stopped."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aiops_host.data.session import Connection


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


async def advance(con: Connection, tenant_id: UUID, connection_id: UUID, reached: datetime | None, count: int) -> None:
    """Record that every ticket updated before ``reached`` is in the history; in the session that stored them."""
    await con.execute(
        "update history_import set reached = greatest(reached, $3), tickets = tickets + $4 "
        "where tenant_id = $1 and connection_id = $2",
        tenant_id,
        connection_id,
        reached,
        count,
    )


async def finish(con: Connection, tenant_id: UUID, connection_id: UUID) -> None:
    """Record that the import came to its end."""
    await con.execute(
        "update history_import set finished_at = clock_timestamp() where tenant_id = $1 and connection_id = $2",
        tenant_id,
        connection_id,
    )
