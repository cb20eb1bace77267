"""``aiops tickets``: a tenant's history."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from aiops_core.errors import AiopsError, TicketingUnavailable
from aiops_core.plugins import explain
from aiops_host.cli.program import as_json, opened, run, run_async

if TYPE_CHECKING:
    from uuid import UUID

    from aiops_core.tickets import Ticket
    from aiops_host.data.connections import ConnectionRecord
    from aiops_host.data.history_imports import Progress, Wanted
    from aiops_host.data.retrieval.history import UpsertCount
    from aiops_host.data.session import Database
    from aiops_host.data.tenants import TenantRecord

PART_SECONDS = 150.0
"""A part ends within a minute; if its worker dies, another takes it over 80 seconds after it began."""
MOST_WAITS = 10
MOST_WAIT_SECONDS = 60.0
MOST_STALLS = 5
"""Parts in a row that come no further. A cap on calls per minute, used up, leaves one or two without a ticket."""
STALLED = (
    "Reading through the connection {name!r} comes no further than {reached:%Y-%m-%d %H:%M:%S} UTC: the ticketing tool "
    "takes too long, or more tickets than a worker reads at once were updated at one moment. A later --since skips them."
)
UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


class ImportFailed(AiopsError):
    """The worker could not read on; its log says why."""


class ImportIncomplete(AiopsError):
    """Some of the tenant's connections could not be read from."""


class ImportStalled(AiopsError):
    """Several parts of an import in a row came no further."""


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

    A worker reads from a ticketing tool, because credentials open in a worker only; files are read here.

    An import from a ticketing tool goes on where it stopped and may be repeated. It ends at once when no worker runs,
    and goes on to the next connection when a ticketing tool cannot be reached at all; the exit code is 1 then. Later failures, and being asked to wait, are waited out up to 10 times: for as long
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
        total, failed = run_async(lambda: _from_tools(slug, connection, since, quiet=as_json))
        report(total, noun="tickets", as_json=as_json)
        if failed:
            raise ImportIncomplete(" ".join(failed))


async def _from_tools(
    slug: str, connection: str | None, since: datetime, *, quiet: bool
) -> tuple[UpsertCount, list[str]]:
    """Return what was read, and in a sentence each which of several connections were not read to their end."""
    from aiops_host.cli.asking import check_for_workers  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.tooling import connection_called  # noqa: PLC0415
    from aiops_host.data import connections, tenants  # noqa: PLC0415
    from aiops_host.data.retrieval.history import UpsertCount  # noqa: PLC0415

    async with opened() as database:
        tenant = await tenants.by_slug(database, slug)
        if connection is None:
            wanted = [(c.id, c.name) for c in await connections.list_(database, tenant.id)]
        else:
            found = await connection_called(database, slug, connection)
            wanted = [(found.id, found.name)]
        if not wanted:
            raise click.UsageError(f"The tenant {slug} has no connection; see: aiops connections create --help")
        await check_for_workers(database, tenant.id)
        total, failed = UpsertCount(), []
        for connection_id, name in wanted:
            try:
                total += await _from_tool(database, tenant, connection_id, since, quiet=quiet)
            except (TicketingUnavailable, ImportFailed, ImportStalled) as error:
                if len(wanted) == 1:
                    raise
                failed.append(f"The connection {name!r} was not read to its end: {explain(error)}")
    return total, failed


async def _from_tool(
    database: Database, tenant: TenantRecord, connection_id: UUID, since: datetime, *, quiet: bool
) -> UpsertCount:
    from aiops_host.data.history_imports import Wanted  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data.retrieval.history import UpsertCount  # noqa: PLC0415

    wanted = Wanted(connection_id=connection_id, since=since)
    record, reached = await _begun(database, tenant.id, wanted)
    total, answered, waits, stalls = UpsertCount(), False, 0, 0
    while True:
        read = await _read_on(database, tenant.id, wanted)
        if not quiet:
            _tell(read, reached)
        total, answered = total + read.count, answered or read.answered
        if read.done:
            return total
        if read.trouble is not None:
            error = TicketingUnavailable(read.trouble, retry_after=read.wait)
            if not answered and read.wait is None:
                raise _out_of_reach(record, tenant.slug, error)
            if waits == MOST_WAITS:
                raise error
            wait = read.wait or min(2.0**waits, MOST_WAIT_SECONDS)
            click.echo(f"{error} Going on in {wait:g} s.", err=True)
            await asyncio.sleep(wait)
            waits += 1
        else:
            stalls = stalls + 1 if read.reached == reached else 0
            if stalls == MOST_STALLS:
                raise ImportStalled(STALLED.format(name=record.name, reached=reached))
        reached = read.reached


async def _begun(database: Database, tenant_id: UUID, wanted: Wanted) -> tuple[ConnectionRecord, datetime]:
    """Note in the audit trail that the import begins; return its connection and from when it reads."""
    from aiops_host.cli.imports import note_import  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import connections, history_imports  # noqa: PLC0415

    async with database.tenant(tenant_id) as con:
        record = await connections.get(con, wanted.connection_id)
        start = await history_imports.begin(con, tenant_id, wanted.connection_id, wanted.since)
        await note_import(con, tenant_id, "tickets", f"since {start:%Y-%m-%d}", f"connection {record.name}")
    return record, start


async def _read_on(database: Database, tenant_id: UUID, wanted: Wanted) -> Progress:
    """Have a worker read the next part."""
    from aiops_host.cli.asking import answer  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import probes  # noqa: PLC0415
    from aiops_host.data.history_imports import PROBE, Progress  # noqa: PLC0415

    async with database.tenant(tenant_id) as con:
        probe_id = await probes.ask(con, tenant_id, PROBE, msgspec.json.encode(wanted).decode())
    answered = await answer(database, tenant_id, probe_id, within=PART_SECONDS)
    if answered.state != "ok":
        raise ImportFailed(answered.result)
    return msgspec.json.decode(answered.result or "", type=Progress)


def _tell(read: Progress, before: datetime) -> None:
    """Say how far the import came, on the error stream."""
    count = read.count.added + read.count.changed + read.count.unchanged
    if count:
        upto = f" up to {read.reached:%Y-%m-%d %H:%M}" if read.reached > before else ""
        click.echo(f"  {count} tickets{upto}", err=True)


def _out_of_reach(record: ConnectionRecord, slug: str, error: TicketingUnavailable) -> TicketingUnavailable:
    """Return the end of an import whose first request failed: more likely a wrong address than a passing trouble."""
    addresses = [value for value in record.config.values() if isinstance(value, str) and "://" in value]
    return TicketingUnavailable(
        f"Nothing was read through the connection {record.name!r} to {', '.join(addresses) or record.ticketing_tool}: "
        f"{str(error).rstrip('.')}. Check that address and the network, "
        f"then: aiops connections test {record.connection_id} --tenant {slug}"
    )


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(tickets, argv, "tickets")
