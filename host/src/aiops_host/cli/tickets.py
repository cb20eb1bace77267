"""``aiops tickets``: a tenant's history."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiops_core.errors import TicketingUnavailable
from aiops_core.tickets import Ticket, TicketQuery
from aiops_host.cli.program import as_json, opened, run, run_async

if TYPE_CHECKING:
    from uuid import UUID

    from aiops_host.data.connections import ConnectionRecord
    from aiops_host.data.retrieval.history import UpsertCount
    from aiops_host.data.session import Database

BATCH = 25
MOST_WAITS = 10
MOST_WAIT_SECONDS = 60.0
UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


class Since(click.ParamType[datetime]):
    """A span such as 90d, 12h or 8w, or a date."""

    name = "SPAN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment the span began."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        if match := re.fullmatch(r"(\d{1,5})([hdw])", text):
            return datetime.now(UTC) - timedelta(seconds=int(match[1]) * UNITS[match[2]])
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is neither a span such as 90d, 12h or 8w nor a date such as 2026-01-31.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


tickets = click.Group("tickets", help="Import resolved tickets into a tenant's history.", no_args_is_help=True)


@tickets.command("import")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose history it is")
@click.option("--connection", metavar="CONNECTION", help="Read from this connection, by id or name, instead of PATH")
@click.option("--since", type=Since(), default="90d", show_default=True, help="How far back, as 90d, 12h, 8w or a date")
@as_json
def import_(path: Path | None, slug: str, connection: str | None, since: datetime, as_json: bool) -> None:
    """Import past tickets.

    From PATH (CSV or JSON), or without one from the tenant's ticketing tools themselves.

    Columns: ticket_id and title are needed; description, resolution, category, priority, requester, technician,
    created_at, resolved_at (ISO 8601) and url may be there.

    An import from a ticketing tool goes on where it stopped and may be repeated. It ends at once when the ticketing
    tool cannot be reached at all. Later failures, and being asked to wait, are waited out up to 10 times: for as long
    as was asked, else 1, 2, 4 … 60 seconds.
    """
    from aiops_host.cli.files import read_tickets  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.imports import import_all, remark, report  # noqa: PLC0415
    from aiops_host.data.retrieval import history  # noqa: PLC0415

    if path is not None and connection is not None:
        raise click.UsageError("Give either a PATH or --connection.")
    if path is not None:

        async def upsert(con: object, batch: Sequence[Ticket]) -> UpsertCount:
            return await history.upsert(con, batch, connection_id=None, source="file")

        import_all(slug, read_tickets(path, remark), upsert, noun="tickets", as_json=as_json)
    else:
        report(run_async(lambda: _from_tools(slug, connection, since, quiet=as_json)), noun="tickets", as_json=as_json)


async def _from_tools(slug: str, connection: str | None, since: datetime, *, quiet: bool) -> UpsertCount:
    from aiops_host.cli.imports import added_up  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415
    from aiops_host.data import connections, tenants  # noqa: PLC0415
    from aiops_host.data.retrieval.history import UpsertCount  # noqa: PLC0415

    async with opened() as database:
        tenant = await tenants.by_slug(database, slug)
        if connection is None:
            wanted = [c.id for c in await connections.list_(database, tenant.id)]
        else:
            wanted = [(await connection_called(database, slug, connection)).id]
    if not wanted:
        raise click.UsageError(f"The tenant {slug} has no connection; see: aiops connections create --help")
    total = UpsertCount(added=0, changed=0, unchanged=0)
    for connection_id in wanted:
        total = added_up(total, await _from_tool(slug, connection_id, since, quiet=quiet))
    return total


async def _from_tool(slug: str, connection: UUID, since: datetime, *, quiet: bool) -> UpsertCount:
    from aiops_host.cli.imports import added_up, note_import  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.tooling import using_tool  # noqa: PLC0415
    from aiops_host.data import history_imports  # noqa: PLC0415
    from aiops_host.data.retrieval.history import UpsertCount  # noqa: PLC0415

    total, answered = UpsertCount(), False
    async with using_tool(slug, connection) as (database, record, tool):
        for waits in range(MOST_WAITS + 1):
            async with database.tenant(record.tenant_id) as con:
                start = await history_imports.begin(con, record.tenant_id, connection, since)
                if waits == 0:
                    source = f"connection {record.name}"
                    await note_import(con, record.tenant_id, "tickets", f"since {start:%Y-%m-%d}", source)
            try:
                async for batch in _batches(tool.search_tickets(TicketQuery(updated_since=start))):
                    answered = True
                    total = added_up(total, await _store(database, record, batch, quiet=quiet))
                break
            except TicketingUnavailable as error:
                if not answered and error.retry_after is None:
                    raise _out_of_reach(record, slug, error) from None
                if waits == MOST_WAITS:
                    raise
                wait = error.retry_after or min(2.0**waits, MOST_WAIT_SECONDS)
                click.echo(f"{error} Going on in {wait:g} s.", err=True)
                await asyncio.sleep(wait)
        async with database.tenant(record.tenant_id) as con:
            await history_imports.finish(con, record.tenant_id, connection)
    return total


async def _batches(found: AsyncIterator[Ticket]) -> AsyncIterator[list[Ticket]]:
    """Yield the tickets in lists; what was read before a failure comes before the failure."""
    batch: list[Ticket] = []
    try:
        async for ticket in found:
            batch.append(ticket)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except TicketingUnavailable:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _out_of_reach(record: ConnectionRecord, slug: str, error: TicketingUnavailable) -> TicketingUnavailable:
    """Return the end of an import whose first request failed: more likely a wrong address than a passing trouble."""
    addresses = [value for value in record.config.values() if isinstance(value, str) and "://" in value]
    return TicketingUnavailable(
        f"Nothing was read through the connection {record.name!r} to {', '.join(addresses) or record.ticketing_tool}: "
        f"{str(error).rstrip('.')}. Check that address and the network, "
        f"then: aiops connections test {record.connection_id} --tenant {slug}"
    )


async def _store(database: Database, record: ConnectionRecord, batch: list[Ticket], *, quiet: bool) -> UpsertCount:
    from aiops_host.data import history_imports  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data.retrieval import history  # noqa: PLC0415

    async with database.tenant(record.tenant_id) as con:
        count = await history.upsert(con, batch, connection_id=record.connection_id, source="search")
        reached = max((t.updated_at for t in batch if t.updated_at), default=None)
        await history_imports.advance(con, record.tenant_id, record.connection_id, reached, len(batch))
    if batch and not quiet:
        click.echo(
            f"  {len(batch)} tickets up to {reached:%Y-%m-%d %H:%M}" if reached else f"  {len(batch)} tickets", err=True
        )
    return count


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(tickets, argv, "tickets")
