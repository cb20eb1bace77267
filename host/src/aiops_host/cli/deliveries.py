"""``aiops deliveries``: what came in and what became of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec

from aiops_core.compose import plain_text
from aiops_core.tickets import Enhancement
from aiops_host.cli.program import as_json, opened, print_json, print_table, run, run_async

if TYPE_CHECKING:
    from aiops_host.data.deliveries import AttemptView, DeliverySummary
    from aiops_host.data.runs import RunSummary

tenant_option = click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose deliveries")

STATES = ("queued", "running", "posting", "done", "ignored", "quarantined", "parked", "dead")
TIME = "%Y-%m-%d %H:%M:%S"


class DeliveryId(click.ParamType[UUID]):
    """A delivery's id, refused in a user's words."""

    name = "delivery id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:
        """Return the id.

        Raises:
            click.BadParameter: It is none.
        """
        try:
            return UUID(value)
        except ValueError:
            self.fail(f"{value!r} is no delivery id; `aiops deliveries list` shows them.", param, ctx)


deliveries = click.Group("deliveries", help="List, show and replay deliveries.", no_args_is_help=True)


@deliveries.command("list")
@tenant_option
@click.option("--state", type=click.Choice(STATES), help="Only those in this state")
@click.option("--ticket", help="Only those about this ticket, in capitals or small letters")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--cursor", help="Go on after an earlier page")
@as_json
def list_(slug: str, state: Any, ticket: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List deliveries, newest first."""
    from aiops_host.data import deliveries as store  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415

    async def work() -> store.DeliveryPage:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            filters = store.Filters(state=state, ticket=ticket)
            return await store.list_(database, tenant.id, filters, limit=limit, cursor=cursor)

    page = run_async(work)
    if as_json:
        print_json(page)
        return
    rows = [(d.id, f"{d.received_at:{TIME}}", d.ticket_id, d.kind, d.state, d.attempt, d.reason) for d in page.items]
    print_table(rows, ("DELIVERY", "RECEIVED (UTC)", "TICKET", "KIND", "STATE", "ATTEMPT", "REASON"))
    if any(d.suspended for d in page.items):
        click.echo(f"\nThe tenant is suspended: what is queued waits until `aiops tenants resume {slug}`.")
    if page.next:
        click.echo(f"\nmore: --cursor {page.next}")


@deliveries.command()
@click.argument("delivery_id", type=DeliveryId())
@tenant_option
@as_json
def show(delivery_id: UUID, slug: str, as_json: bool) -> None:
    """Show one delivery: attempts, runs, and its note as text."""
    from aiops_host.data import deliveries as store  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import runs as stored_runs  # noqa: PLC0415
    from aiops_host.data import tenants  # noqa: PLC0415

    async def work() -> tuple[store.DeliveryDetail, list[stored_runs.RunDetail]]:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            detail = await store.show(database, tenant.id, delivery_id)
            return detail, [await stored_runs.show(database, tenant.id, r.id) for r in detail.runs]

    with _known(delivery_id, slug):
        detail, runs = run_async(work)
    if as_json:
        print_json({**msgspec.to_builtins(detail), "runs": msgspec.to_builtins(runs)})
        return
    about = detail.delivery
    click.echo(f"delivery {about.id}  ticket {about.ticket_id or '-'}  {about.state}  {about.reason or ''}".rstrip())
    if about.title:
        click.echo(f"  {about.title}")
    click.echo(f"  received {about.received_at:{TIME}} UTC{_what_is_next(about, slug)}")
    for attempt in detail.attempts:
        click.echo(_attempt(attempt))
    triggers = {attempt.number: attempt.trigger for attempt in detail.attempts}
    for run_ in runs:
        click.echo(_run(run_.run, triggers.get(run_.run.attempt)))
        for step in run_.steps:
            click.echo(f"    {step.name}: {step.milliseconds:.0f} ms {step.error or ''}".rstrip())
        if run_.enhancement:
            click.echo(f"\n    the note of this run ({run_.run.outcome}):\n")
            click.echo(plain_text(msgspec.convert(run_.enhancement, Enhancement)))


@contextmanager
def _known(delivery_id: UUID, slug: str) -> Iterator[None]:
    """Say of a delivery the tenant does not have where those are that it has."""
    from aiops_host.data.deliveries import UnknownDelivery  # noqa: PLC0415 - the database is not needed for --help

    try:
        yield
    except UnknownDelivery:
        listed = f"`aiops deliveries list --tenant {slug}` shows those it has"
        raise UnknownDelivery(f"The tenant {slug} has no delivery {delivery_id}; {listed}.") from None


def _what_is_next(about: DeliverySummary, slug: str) -> str:
    if about.waits_for:
        return (
            f"\n  waits for its paused connection {about.waits_for}: "
            f"mend it, then `aiops connections resume {shlex.quote(about.waits_for)} --tenant {slug}`"
        )
    if about.suspended:
        return f"\n  waits because its tenant is suspended: `aiops tenants resume {slug}` lets it go on"
    if about.state == "queued":
        return f", next try at {about.due_at:{TIME}} UTC"
    return f", ended {about.finished_at:{TIME}} UTC" if about.finished_at else ""


def _run(run_: RunSummary, trigger: str | None) -> str:
    when = f"{run_.started_at:{TIME}} UTC, attempt {run_.attempt}{f' ({trigger})' if trigger else ''}"
    return f"  run {run_.id}: {run_.outcome}  {when}  {run_.reason or ''}".rstrip()


def _attempt(attempt: AttemptView) -> str:
    until = f" to {attempt.finished_at:{TIME}}" if attempt.finished_at else ""
    what = f"  attempt {attempt.number} ({attempt.trigger}): {attempt.outcome or 'running'}"
    return f"{what}  {attempt.started_at:{TIME}}{until} UTC  {attempt.reason or ''}".rstrip()


@deliveries.command()
@click.argument("delivery_id", type=DeliveryId())
@tenant_option
@click.option("--dry-run", is_flag=True, help="Run the agent but post nothing")
@click.option("--post-again", is_flag=True, help="Post a further note even if one is on the ticket")
@as_json
def replay(delivery_id: UUID, slug: str, dry_run: bool, post_again: bool, as_json: bool) -> None:
    """Work on a delivery once more.

    A note that is already on the ticket is left alone. A delivery that waits for its next try is tried now. One that is queued or being worked on is refused: it needs no replay.
    """
    from aiops_host.data import deliveries as store  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.data import tenants  # noqa: PLC0415
    from aiops_host.trust import replays  # noqa: PLC0415
    from aiops_host.trust.audit import operator  # noqa: PLC0415

    if dry_run and post_again:
        raise click.UsageError(
            "Give either --dry-run, which posts nothing, or --post-again, which posts a further note."
        )

    async def work() -> store.DeliverySummary:
        async with opened() as database:
            tenant = await tenants.by_slug(database, slug)
            options = store.ReplayOptions(dry_run=dry_run, post_again=post_again)
            return await replays.replay(database, operator(), tenant.id, delivery_id, options)

    with _known(delivery_id, slug):
        queued = run_async(work)
    if as_json:
        print_json(queued)
    else:
        click.echo(f"delivery {queued.id} is queued; see: aiops deliveries show {queued.id} --tenant {slug}")
        if queued.suspended:
            click.echo(f"It waits: the tenant is suspended until `aiops tenants resume {slug}`.")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(deliveries, argv, "deliveries")
