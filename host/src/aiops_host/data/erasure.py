"""What is taken away for good: a tenant's rows in small steps, so that whoever was stopped goes on; a connection."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aiops_host import failpoints
from aiops_host.data import claims, tenants
from aiops_host.data.catalog import TenantTable, tenant_tables
from aiops_host.data.connections import UnknownConnection
from aiops_host.data.session import Connection, Database
from aiops_host.data.tenants import TenantRecord, UnknownTenant

STEP_ROWS = 5000

KEPT = frozenset({"audit_head", "audit_entry"})
"""Reviewed: what stays of a tenant. The trail of who did what outlives it; it holds no ticket's text and no secret."""

DELETED = "The connection was deleted."
MAY_BE_THERE = "The connection was deleted while this note was being written; it may be on the ticket."

Progress = Callable[[str, int], None]


async def begin(database: Database, tenant_id: UUID) -> None:
    """Close the tenant for good: no webhook finds it, nobody is its member, no work is taken up; harmless to repeat.

    Raises:
        UnknownTenant: There is no tenant of that id.
    """
    async with database.tenant(tenant_id) as con:
        found = await con.fetchval(
            "update tenant set state = 'deleting', "
            "state_since = case when state = 'deleting' then state_since else clock_timestamp() end "
            "where tenant_id = $1 returning true",
            tenant_id,
        )
        if not found:
            raise UnknownTenant
        await con.execute("delete from endpoint")
        await con.execute("delete from membership")


async def remove_rows(database: Database, tenant_id: UUID, progress: Progress = lambda _table, _rows: None) -> int:
    """Delete every row of a tenant that :func:`begin` closed but its own; return how many.

    Args:
        database: Where they are.
        tenant_id: Whose they are.
        progress: Called after each step with the table's name and the rows deleted by it.
    """
    async with database.tenant(tenant_id) as con:
        tables = [t for t in await tenant_tables(con) if t.name not in KEPT | {"tenant"}]
    removed = 0
    for table in tables:
        while table.deletable and (rows := await _step(database, tenant_id, table)):
            removed += rows
            progress(table.name, rows)
            failpoints.reached("tenant-rows-removed")
    return removed


async def remove_tenant(con: Connection, tenant_id: UUID) -> bool:
    """Delete the tenant's own row with what came in since :func:`remove_rows`, inside the caller's tenant session.

    Returns:
        Whether it was there.
    """
    for table in await tenant_tables(con):
        if table.deletable and table.name not in KEPT | {"tenant"}:
            await con.execute(f'delete from "{table.name}" where tenant_id = $1', tenant_id)  # noqa: S608 - from the catalog
    done: str = await con.execute("delete from tenant where tenant_id = $1 and state = 'deleting'", tenant_id)
    return done == "DELETE 1"


async def unfinished(database: Database) -> list[TenantRecord]:
    """Return the tenants whose deletion was begun and not finished."""
    return [tenant for tenant in await tenants.directory(database) if tenant.state == "deleting"]


async def _step(database: Database, tenant_id: UUID, table: TenantTable) -> int:
    async with database.tenant(tenant_id) as con:
        # Two processes that go on with one deletion take turns.
        await con.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", str(tenant_id))
        done: str = await con.execute(
            f'delete from "{table.name}" where tenant_id = $1 and ctid = any(array('  # noqa: S608 - from the catalog
            f'select ctid from "{table.name}" where tenant_id = $1 limit {STEP_ROWS}))',
            tenant_id,
        )
    return int(done.rpartition(" ")[2])


async def remove_connection(con: Connection, connection_id: UUID) -> str:
    """Take a connection away with its address and secrets, inside the caller's tenant session; return its name.

    Its deliveries, runs and notes stay readable. What was not finished ends as dead: a worker that holds some of it
    finds its lease gone.

    Raises:
        UnknownConnection: The tenant has none of that id.
    """
    name: str | None = await con.fetchval(
        "update connection set state = 'deleted', state_reason = $2, config = '{}', wait_until = null, "
        "config_version = config_version + 1 where connection_id = $1 and state <> 'deleted' returning name",
        connection_id,
        DELETED,
    )
    if name is None:
        raise UnknownConnection
    await con.execute(
        "delete from secret where (owner_kind = 'connection' and owner_id = $1::text) or (owner_kind = 'endpoint' "
        "and owner_id in (select e.endpoint_id from endpoint e where e.connection_id = $1::text::uuid))",
        str(connection_id),
    )
    await con.execute("delete from endpoint where connection_id = $1", connection_id)
    await con.execute("delete from history_import where connection_id = $1", connection_id)
    await _end_work(con, connection_id)
    return name


async def _end_work(con: Connection, connection_id: UUID) -> None:
    await con.execute(
        "update effect set state = 'dead', reason = case when state = 'planned' then $2 else $3 end, "
        "lease_token = lease_token + 1, lease_until = null, reconcile_at = null "
        "where connection_id = $1 and state in ('planned', 'sending', 'unknown')",
        connection_id,
        DELETED,
        MAY_BE_THERE,
    )
    ended = await con.fetch(
        "update delivery set state = 'dead', reason = $2, finished_at = clock_timestamp(), lease_until = null, "
        "lease_token = lease_token + 1 "
        "where connection_id = $1 and state in ('queued', 'running', 'posting') returning tenant_id, delivery_id",
        connection_id,
        DELETED,
    )
    await con.execute(
        "update attempt set finished_at = clock_timestamp(), outcome = 'dead', reason = $2 "
        "where delivery_id = any($1::uuid[]) and finished_at is null",
        [row["delivery_id"] for row in ended],
        DELETED,
    )
    if ended:
        await claims.restore(con, ended[0]["tenant_id"], [row["delivery_id"] for row in ended])
