"""Deliveries as people see them: listed, shown with what came of them, and replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from aiops_core.compose import plain_text
from aiops_core.errors import AiopsError
from aiops_core.tickets import Enhancement
from aiops_host.data import runs
from aiops_host.data.cursors import conditions, cursor_of
from aiops_host.data.runs import RunSummary
from aiops_host.data.session import Connection, Database

MAX_PAGE = 200
ONE_OF_BOTH = "A dry run posts nothing and post_again posts a further note: ask for one of them."

DeliveryState = Literal["queued", "running", "posting", "done", "ignored", "quarantined", "parked", "dead"]


class UnknownDelivery(AiopsError):
    """There is no such delivery."""


class ReplayRefused(AiopsError):
    """The delivery cannot be replayed now."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries to list; ``connection`` is a name or an id, ``ticket`` an id in capitals or small letters."""

    state: DeliveryState | None = None
    ticket: str | None = None
    connection: str | None = None


class DeliverySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One inbound webhook and how far its work has come. Times are UTC; ``title`` is the ticket's, once it was read.

    ``dry_run`` says that a dry run is asked for or under way; once it has ended the delivery is what it was before.
    ``waits_for`` names the paused connection a queued delivery waits for, ``suspended`` says that it waits because its
    tenant is suspended; until that is resumed ``due_at`` says nothing.
    """

    id: UUID
    received_at: datetime
    connection: str
    ticketing_tool: str
    ticket_id: str | None
    title: str | None
    kind: str | None
    action: str
    state: DeliveryState
    reason: str | None
    trigger: str
    dry_run: bool
    attempt: int
    due_at: datetime
    finished_at: datetime | None
    note_url: str | None
    waits_for: str | None
    suspended: bool


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries, newest first; ``next`` asks for the page after this one."""

    items: list[DeliverySummary]
    next: str | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a delivery."""

    number: int
    trigger: str
    worker: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    reason: str | None


class EffectView(msgspec.Struct, frozen=True, kw_only=True):
    """One intended note: its blocks, the same as plain text, and what became of it."""

    id: UUID
    state: str
    reason: str | None
    attempt: int
    reference: str
    note_url: str | None
    planned_at: datetime
    confirmed_at: datetime | None
    blocks: list[Any]
    text: str


class DeliveryDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with all that came of it; of the raw body only its size and hash."""

    delivery: DeliverySummary
    external_id: str
    proof_scheme: str
    signed_at: datetime | None
    traceparent: str | None
    headers: dict[str, str]
    body_bytes: int
    body_sha256: str
    attempts: list[AttemptView]
    runs: list[RunSummary]
    effects: list[EffectView]


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``dry_run`` posts nothing; ``post_again`` allows a second note beside a confirmed one. One excludes the other."""

    dry_run: bool = False
    post_again: bool = False

    def __post_init__(self) -> None:
        """Refuse a wish that contradicts itself."""
        if self.dry_run and self.post_again:
            raise ValueError(ONE_OF_BOTH)


_SUMMARY = """
    select d.delivery_id as id, d.received_at, c.name || case when c.state = 'deleted' then ' (deleted)' else '' end
               as connection, c.ticketing_tool, d.ticket_id, d.kind, d.action,
           d.state, d.reason, d.trigger, d.dry_run, d.attempt, d.due_at, d.finished_at, e.remote_url as note_url,
           case when d.state = 'queued' and c.state = 'paused' then c.name end as waits_for,
           d.state = 'queued' and (select t.state <> 'active' from tenant t where t.tenant_id = d.tenant_id) as suspended,
           (select r.ticket->>'title' from run r where r.tenant_id = d.tenant_id and r.delivery_id = d.delivery_id
            order by r.started_at desc limit 1) as title
    from delivery d
    join connection c on c.tenant_id = d.tenant_id and c.connection_id = d.connection_id
    left join lateral (
        select x.remote_url from effect x
        where x.tenant_id = d.tenant_id and x.delivery_id = d.delivery_id and x.state = 'confirmed'
        order by x.confirmed_at desc limit 1
    ) e on true
"""


async def list_(
    database: Database, tenant_id: UUID, filters: Filters | None = None, *, limit: int = 50, cursor: str | None = None
) -> DeliveryPage:
    """Return a page of the tenant's deliveries, newest first.

    Raises:
        CursorInvalid: The cursor is not one an earlier page gave.
    """
    limit = max(1, min(limit, MAX_PAGE))
    where, values = _conditions(filters or Filters(), cursor)
    async with database.tenant(tenant_id) as con:
        rows = await con.fetch(
            f"{_SUMMARY} where {where} order by d.received_at desc, d.delivery_id desc limit {limit + 1}", *values
        )
    items = [DeliverySummary(**dict(row)) for row in rows[:limit]]
    return DeliveryPage(items=items, next=cursor_of(items[-1].received_at, items[-1].id) if len(rows) > limit else None)


async def show(database: Database, tenant_id: UUID, delivery_id: UUID) -> DeliveryDetail:
    """Return one delivery with its attempts, runs and notes.

    Raises:
        UnknownDelivery: The tenant has none of that id.
    """
    async with database.tenant(tenant_id) as con:
        summary = await con.fetchrow(f"{_SUMMARY} where d.delivery_id = $1", delivery_id)
        if summary is None:
            raise UnknownDelivery
        received = await con.fetchrow(
            "select external_id, proof_scheme, signed_at, traceparent, headers, body from delivery "
            "where delivery_id = $1",
            delivery_id,
        )
        attempts = await con.fetch(
            "select number, trigger, worker, started_at, finished_at, outcome, reason from attempt "
            "where delivery_id = $1 order by number",
            delivery_id,
        )
        came = await runs.of_delivery(con, delivery_id)
        effects = await _effects(con, delivery_id)
    body: bytes = received["body"]
    return DeliveryDetail(
        delivery=DeliverySummary(**dict(summary)),
        external_id=received["external_id"],
        proof_scheme=received["proof_scheme"],
        signed_at=received["signed_at"],
        traceparent=received["traceparent"],
        headers=received["headers"],
        body_bytes=len(body),
        body_sha256=hashlib.sha256(body).hexdigest(),
        attempts=[AttemptView(**dict(row)) for row in attempts],
        runs=came,
        effects=effects,
    )


async def replay(database: Database, tenant_id: UUID, delivery_id: UUID, options: ReplayOptions) -> DeliverySummary:
    """Queue a delivery once more, by a person's wish, with all its tries before it.

    One that waits for its next try is tried now, unless as a dry run, which would take the place of that try. Once a
    dry run has ended, the delivery stands as it did before.

    Raises:
        UnknownDelivery: The tenant has none of that id.
        ReplayRefused: It is being or about to be worked on, or names no ticket.
    """
    async with database.tenant(tenant_id) as con:
        found = await con.fetchrow(_REPLAYED, delivery_id)
        if found is None:
            raise UnknownDelivery
        if found["deleted"]:
            raise ReplayRefused(
                f"Its connection {found['connection']!r} was deleted: nothing is read or written there."
            )
        if refusal := _replay_refusal(found, dry_run=options.dry_run):
            raise ReplayRefused(refusal)
        await con.execute(
            "update delivery set state = 'queued', trigger = 'manual', tries = 0, crashes = 0, reason = null, "
            "action = case when action = 'none' then 'run' else action end, dry_run = $2, "
            "before_dry_run = case when $2 then jsonb_build_object('state', state, 'reason', reason, "
            "'action', action, 'trigger', trigger, 'finished_at', finished_at) end, "
            "post_again = post_again + case when $3 then 1 else 0 end, "
            "due_at = clock_timestamp(), finished_at = null where delivery_id = $1",
            delivery_id,
            options.dry_run,
            options.post_again,
        )
        row = await con.fetchrow(f"{_SUMMARY} where d.delivery_id = $1", delivery_id)
    return DeliverySummary(**dict(row))


_REPLAYED = """
    select d.state, d.ticket_id, d.reason, d.due_at, d.attempt > 0 and d.due_at > clock_timestamp() as waits,
           c.name as connection, c.ticketing_tool, c.state = 'paused' as paused, c.state = 'deleted' as deleted,
           exists (select from effect e where e.tenant_id = d.tenant_id and e.delivery_id = d.delivery_id
                   and e.state in ('planned', 'sending', 'unknown')) as note_open
    from delivery d
    join connection c on c.tenant_id = d.tenant_id and c.connection_id = d.connection_id
    where d.delivery_id = $1 for update of d
"""


def _replay_refusal(found: Mapping[str, Any], *, dry_run: bool) -> str | None:
    """Say why the delivery is not to be replayed now and what to do instead, or return None."""
    if found["ticket_id"] is None:
        why = str(found["reason"] or "nobody could read it").rstrip(".")
        return (
            f"The webhook names no ticket, so there is nothing to replay: {why}. Correct what {found['ticketing_tool']} "
            f"sends for the connection {found['connection']!r}, then send it again, for instance by changing the ticket."
        )
    if found["state"] == "queued" and found["paused"]:
        return f"The delivery is queued and waits for its paused connection {found['connection']!r}: resume that."
    if found["state"] == "queued" and not found["waits"]:
        return "The delivery is queued already and will be worked on by itself; replay it once it has ended."
    if found["state"] in ("running", "posting"):
        return "The delivery is being worked on; replay it once it has ended."
    return _dry_run_refusal(found) if dry_run else None


def _dry_run_refusal(found: Mapping[str, Any]) -> str | None:
    if found["state"] == "queued":
        return (
            f"The delivery is queued for its next try at {found['due_at']:%Y-%m-%d %H:%M:%S} UTC, whose place a dry run "
            "would take. Replay it for real to have that try now, or once it has ended."
        )
    if found["note_open"]:
        return "Its note is still being posted or looked for on the ticket; ask for the dry run once that has ended."
    return None


async def _effects(con: Connection, delivery_id: UUID) -> list[EffectView]:
    rows = await con.fetch(
        "select effect_id, state, reason, attempt, reference, remote_url, planned_at, confirmed_at, body from effect "
        "where delivery_id = $1 order by planned_at",
        delivery_id,
    )
    return [_effect(row) for row in rows]


def _effect(row: Mapping[str, Any]) -> EffectView:
    enhancement = msgspec.json.decode(row["body"], type=Enhancement)
    return EffectView(
        id=row["effect_id"],
        state=row["state"],
        reason=row["reason"],
        attempt=row["attempt"],
        reference=row["reference"],
        note_url=row["remote_url"],
        planned_at=row["planned_at"],
        confirmed_at=row["confirmed_at"],
        blocks=msgspec.to_builtins(enhancement.body),
        text=plain_text(enhancement),
    )


def _conditions(filters: Filters, cursor: str | None) -> tuple[str, list[Any]]:
    wanted = (
        ("d.state = {0}", filters.state),
        ("d.ticket_id in ({0}, upper({0}), lower({0}))", filters.ticket),
        ("{0} in (c.name, c.connection_id::text)", filters.connection),
    )
    return conditions(wanted, "(d.received_at, d.delivery_id)", cursor)
