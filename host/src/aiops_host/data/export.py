"""A tenant's rows as one archive: a ZIP of a file of JSON lines per table, made page by page, without any secret."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data import tenants
from aiops_host.data.catalog import TenantTable, tenant_tables
from aiops_host.data.session import UNREACHABLE, Database, DatabaseBusy, DatabaseDown

MOST_ROWS = 2000
FIRST_ROWS = 100
PAGE_BYTES = 4 * 1024 * 1024
FORMAT = "aiops-tenant-export-1"

SECRET_COLUMNS = frozenset({("data_key", "wrapped"), ("invitation", "token_hash"), ("secret", "sealed")})
"""Reviewed: columns that hold a secret in whatever form; they are left out."""

OPEN_COLUMNS = frozenset(
    {
        ("article", "digest"),
        ("audit_entry", "hash"),
        ("audit_head", "hash"),
        ("delivery", "body"),
        ("effect", "body"),
        ("effect", "body_hash"),
        ("past_ticket", "digest"),
    }
)
"""Reviewed: columns that hold none, although their type or name might be a secret's."""

SUSPICIOUS = ("secret", "password", "token", "sealed", "wrapped", "private", "hash", "salt")
BROKEN = (DatabaseBusy, DatabaseDown, asyncpg.PostgresError, *UNREACHABLE)
HARMLESS = ("integer", "bigint", "smallint", "boolean", "real", "double precision", "numeric", "timestamp", "date")
"""Types that hold no secret whatever the column is called: counts of tokens, times of passwords."""


class ExportBroken(AiopsError):
    """An export broke off.

    Host: breaks the connection; the archive has no manifest and does not open.
    """


class TableCount(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the archive: its rows, and the columns that were left out because they hold secrets."""

    table: str
    rows: int
    left_out: list[str]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive holds; its last file. Without it the archive is not whole."""

    format: str
    tenant_id: UUID
    slug: str
    name: str
    started_at: datetime
    finished_at: datetime
    tables: list[TableCount]


def left_out(table: TenantTable) -> list[str]:
    """Return the table's columns that are not exported.

    A column of bytes, or one whose name is that of a secret, is left out unless it was reviewed to hold none: a new
    table cannot leak one before somebody has looked.
    """
    return [c.name for c in table.columns if _withheld(table.name, c.name, c.type)]


async def archive(database: Database, tenant_id: UUID) -> AsyncIterator[bytes]:
    r"""Yield the bytes of the archive.

    Each page of rows is a short session of its own, so that a slow reader holds no transaction open; a row written
    meanwhile may be in the archive or not. Bytes stand as PostgreSQL writes them, in hexadecimal after ``\x``.

    Raises:
        UnknownTenant: There is no tenant of that id, or it is being deleted.
        ExportBroken: PostgreSQL failed in the middle, or the tables or the tenant changed: what was yielded is no archive.
    """
    tenant = await _lasting(database, tenant_id)
    started = datetime.now(UTC)
    async with database.tenant(tenant_id) as con:
        tables = await tenant_tables(con)
    pipe = _Pipe()
    counts: list[TableCount] = []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as bundle:
        for table in sorted(tables, key=lambda t: t.name):
            rows = 0
            with bundle.open(f"{tenant.slug}/{table.name}.jsonl", "w", force_zip64=True) as member:
                async for lines in _told(_pages(database, tenant_id, table), table):
                    rows += len(lines)
                    # Compressing a page takes tens of milliseconds, in which the host answers nobody.
                    await asyncio.to_thread(member.write, "".join(f"{line}\n" for line in lines).encode())
                    yield pipe.taken()
            counts.append(TableCount(table=table.name, rows=rows, left_out=left_out(table)))
        try:
            await _lasting(database, tenant_id)  # or rows went while they were read, and nobody would miss them
        except (tenants.UnknownTenant, *BROKEN) as error:
            raise _broken(f"at its end: {error}") from error
        manifest = Manifest(
            format=FORMAT,
            tenant_id=tenant_id,
            slug=tenant.slug,
            name=tenant.name,
            started_at=started,
            finished_at=datetime.now(UTC),
            tables=counts,
        )
        bundle.writestr(f"{tenant.slug}/manifest.json", msgspec.json.format(msgspec.json.encode(manifest)))
    yield pipe.taken()


async def _lasting(database: Database, tenant_id: UUID) -> tenants.TenantDetail:
    tenant = await tenants.get(database, tenant_id)
    if tenant.state == "deleting":
        raise tenants.UnknownTenant(f"The tenant {tenant.slug} is being deleted.")
    return tenant


async def _told(pages: AsyncIterator[Sequence[str]], table: TenantTable) -> AsyncIterator[Sequence[str]]:
    """Yield the pages; say of a failure where it was and what it means."""
    try:
        async for page in pages:
            yield page
    except BROKEN as error:
        raise _broken(f"in the table {table.name}: {error}") from error


def _broken(why: str) -> ExportBroken:
    return ExportBroken(f"The export broke off {why.rstrip('.')}. It is not whole; begin it anew.")


def _withheld(table: str, column: str, kind: str) -> bool:
    if (table, column) in SECRET_COLUMNS:
        return True
    named = any(word in column for word in SUSPICIOUS) and not kind.startswith(HARMLESS)
    suspicious = kind == "bytea" or named
    return suspicious and (table, column) not in OPEN_COLUMNS


@dataclass(slots=True)
class _Pipe:
    """What the archive is written into and read from; it cannot go back, so ``zipfile`` never asks it to."""

    _written: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Hold nothing back."""

    def close(self) -> None:
        """Hold nothing open."""

    def taken(self) -> bytes:
        written, self._written = b"".join(self._written), []
        return written


async def _pages(database: Database, tenant_id: UUID, table: TenantTable) -> AsyncIterator[Sequence[str]]:
    """Yield the table's rows as JSON lines in the order of its key, a few megabytes at a time."""
    after: list[str] | None = None
    wanted = FIRST_ROWS
    while True:
        async with database.tenant(tenant_id) as con:
            rows = await con.fetch(_page(table, first=after is None), tenant_id, wanted, PAGE_BYTES, *(after or ()))
        if not rows:
            return
        yield [row["line"] for row in rows]
        after = list(rows[-1]["place"])
        # Large rows come in shorter pages, so that PostgreSQL writes out few it does not send.
        wanted = min(wanted * 2, MOST_ROWS) if len(rows) == wanted else max(len(rows), 1)


def _page(table: TenantTable, *, first: bool) -> str:
    """Return the query of a page; its parameters are tenant, rows, bytes and the last place of the page before."""
    keys = [(f'"{c.name}"', c.type) for c in table.key] or [("ctid", "tid")]
    order = ", ".join(name for name, _ in keys)
    place = ", ".join(f"{name}::text" for name, _ in keys)
    beyond = ", ".join(f"${n}::text::{kind}" for n, (_, kind) in enumerate(keys, 4))
    where = "tenant_id = $1" if first else f"tenant_id = $1 and ({order}) > ({beyond})"
    hidden = left_out(table)
    # By name: a column that is added meanwhile may hold a secret, and one that is missing is to be noticed.
    shown = ", ".join(f't."{c.name}"' for c in table.columns if c.name not in hidden)
    line = f"to_jsonb((select r from (select {shown}) r))"  # noqa: S608 - names from the catalog
    return f"""
        select line, place from (
            select line, place, number, sum(octet_length(line)) over (order by number) as size from (
                select ({line})::text as line, array[{place}] as place, row_number() over (order by {order}) as number
                from "{table.name}" t where {where} order by {order} limit $2
            ) rendered
        ) measured
        where number = 1 or size <= $3 order by number
    """  # noqa: S608 - names from the catalog
