"""What the import commands share: batches, progress, the count at the end."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import click

from aiops_host.cli.program import opened, print_json, run_async
from aiops_host.data import tenants
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.session import Connection
from aiops_host.trust.audit import operator, record

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

BATCH = 25
T = TypeVar("T")


def import_all(
    slug: str,
    items: Sequence[T],
    upsert: Callable[[Connection, Sequence[T]], Awaitable[UpsertCount]],
    *,
    noun: str,
    as_json: bool,
) -> None:
    """Store the items of one tenant in batches; a repeated import changes only what changed.

    Args:
        slug: The tenant.
        items: What to store.
        upsert: Stores one batch inside a tenant session.
        noun: What they are called.
        as_json: Print the count as JSON.
    """

    async def work() -> UpsertCount:
        total = UpsertCount(added=0, changed=0, unchanged=0)
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            with progress(len(items), noun, hidden=as_json) as bar:
                for start in range(0, len(items), BATCH):
                    batch = items[start : start + BATCH]
                    async with database.tenant(tenant.id) as con:
                        if start == 0:
                            await note_import(con, tenant.id, noun, str(len(items)))
                        total += await upsert(con, batch)
                    bar.update(len(batch))
        return total

    report(run_async(work), noun=noun, as_json=as_json)


async def note_import(con: Connection, tenant_id: UUID, noun: str, count: str, source: str = "file") -> None:
    """Keep in the audit trail that this account began to import, in the transaction of the first batch."""
    facts = {"from": source, "items": count}
    await record(con, tenant_id=tenant_id, actor=operator(), act=f"{noun}.import", subject=noun, details=facts)


def progress(length: int, noun: str, *, hidden: bool) -> ProgressBar[int]:
    """Return a progress bar on the error stream, so that output stays clean."""
    return click.progressbar(length=length, label=f"importing {noun}", file=sys.stderr, hidden=hidden)


def remark(text: str) -> None:
    """Tell of what is left out, on the error stream, so that output stays clean."""
    click.echo(text, err=True)


def report(total: UpsertCount, *, noun: str, as_json: bool) -> None:
    """Print what an import did."""
    if as_json:
        print_json(total)
    else:
        click.echo(f"{noun}: {total.added} added, {total.changed} changed, {total.unchanged} as they were")
