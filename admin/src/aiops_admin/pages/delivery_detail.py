"""One delivery as a tree: what came of it, its note, and every step of the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from aiops_admin import words
from aiops_admin.pages.bits import chip, facts, out_link, when
from aiops_admin.pages.note import note
from aiops_admin.pages.steps import steps
from aiops_admin.safe import Node, h
from aiops_admin.wire import Attempt, Delivery, DeliveryDetail, Effect, RunDetail
from aiops_core.tickets import Enhancement


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What is known beside the delivery: its runs in full, a run's address, whether it may be replayed."""

    runs: Sequence[RunDetail]
    link: Callable[[UUID], str]
    may_replay: bool


def detail_sheet(detail: DeliveryDetail, shown: Shown) -> Node:
    """Return the sheet beside the list."""
    delivery, runs = detail.delivery, shown.runs
    return _sheet(
        f"Ticket {delivery.ticket_id}" if delivery.ticket_id else "Delivery without a ticket",
        h("p", delivery.title, class_="title") if delivery.title else None,
        _outcome(delivery, runs, may_replay=shown.may_replay),
        *_notes(detail.effects, runs),
        _attempts(detail.attempts),
        *(_run(run, shown.link(run.run.id)) for run in runs),
        _facts(detail),
    )


def missing_sheet() -> Node:
    """Return the sheet of an address that names no delivery of this tenant."""
    text = "This tenant has no such delivery. Perhaps it belongs to another tenant, or was removed with age."
    return _sheet("No such delivery", h("p", text))


def waiting_sheet() -> Node:
    """Return the sheet of a delivery that is being fetched."""
    return _sheet("Delivery", *(h("div", class_="bone") for _ in range(4)))


def refused_sheet(reason: str) -> Node:
    """Return the sheet of a delivery the host does not show."""
    return _sheet("This delivery cannot be shown", h("p", reason))


def _sheet(title: str, *contents: Node | None) -> Node:
    close = h("button", "✕", type="button", data_action="close", aria_label="Close", class_="close")
    head = h("header", h("h2", title, id="sheet-title"), close)
    body = h("div", head, h("div", *contents, class_="body"), class_="inner")
    return h("dialog", body, key="sheet", data_close="close", aria_labelledby="sheet-title", class_="side")


def _outcome(delivery: Delivery, runs: Sequence[RunDetail], *, may_replay: bool) -> Node:
    name, tone, sentence = words.state_of(delivery)
    due = delivery.due_at if delivery.state == "queued" and delivery.attempt and not delivery.waits_for else None
    ticket_url = next((run.run.ticket_url for run in reversed(runs) if run.run.ticket_url), None)
    replay = h("button", "Run again …", type="button", data_action="replay") if may_replay else None
    return h(
        "section",
        chip(name, tone),
        h("p", sentence),
        h("p", delivery.reason, class_=f"notice tone-{tone}") if delivery.reason else None,
        h("p", "It is tried again at ", when(due, show="exact"), ".") if due else None,
        h(
            "div",
            out_link("Open the note on the ticket", delivery.note_url, class_="button out"),
            out_link("Open the ticket", ticket_url, class_="button out"),
            replay,
            class_="buttons",
        ),
        class_="outcome",
    )


def _notes(effects: Sequence[Effect], runs: Sequence[RunDetail]) -> list[Node]:
    unposted = [run for run in runs if run.enhancement and (run.run.dry_run or not effects)]
    return [*(_effect(effect) for effect in effects), *(_unposted(run) for run in unposted[-1:])]


def _effect(effect: Effect) -> Node:
    name, tone = words.effect_of(effect)
    moment = effect.confirmed_at or effect.planned_at
    return h(
        "section",
        h("div", h("h3", "Note"), chip(name, tone), h("small", when(moment)), class_="heading"),
        h("p", effect.reason, class_=f"notice tone-{tone}") if effect.reason else None,
        note(effect.blocks),
        key=str(effect.id),
    )


def _unposted(run: RunDetail) -> Node:
    enhancement = msgspec.convert(run.enhancement, Enhancement)
    return h(
        "section",
        h("div", h("h3", f"Note of {_try(run)}"), chip("Not posted", "neutral"), class_="heading"),
        note(enhancement.body),
        key=f"note-{run.run.id}",
    )


def _attempts(attempts: Sequence[Attempt]) -> Node | None:
    if not attempts:
        return None
    return h("section", h("h3", "Tries"), h("ol", *(_attempt(attempt) for attempt in attempts), class_="timeline"))


def _attempt(attempt: Attempt) -> Node:
    outcome = words.OUTCOMES.get(attempt.outcome or "", attempt.outcome) or "in progress"
    by_hand = " (asked for by a person)" if attempt.trigger == "manual" else ""
    return h(
        "li",
        h("b", f"Try {attempt.number}: {outcome}{by_hand}"),
        h("small", when(attempt.started_at, show="exact")),
        h("p", attempt.reason) if attempt.reason else None,
    )


def _run(detail: RunDetail, link: str) -> Node:
    run = detail.run
    name, tone, sentence = words.outcome_of(run)
    used = [f"Agent {run.agent} {run.agent_version}".strip(), words.lasted(run), *words.used_by(run)]
    return h(
        "section",
        h("div", h("h3", f"Steps of {_try(detail)}"), chip(name, tone, sentence), class_="heading"),
        h("small", " · ".join(used)),
        h("p", run.error, class_="notice tone-error") if run.error else None,
        steps(detail.steps),
        h("p", h("a", "Open the run with its evidence", href=link)),
        key=str(run.id),
    )


def _try(detail: RunDetail) -> str:
    return f"try {detail.run.attempt}{' (dry run)' if detail.run.dry_run else ''}"


def _facts(detail: DeliveryDetail) -> Node:
    delivery = detail.delivery
    pairs: list[tuple[str, Node | None]] = [
        ("Received", when(delivery.received_at, show="exact")),
        ("What happened", words.kind_of(delivery.kind)),
        ("Connection", f"{delivery.connection} ({delivery.ticketing_tool})"),
        ("Proven by", words.proof_of(detail.proof_scheme)),
        ("Sender's id", detail.external_id),
        ("Delivery", str(delivery.id)),
        ("Size", f"{detail.body_bytes:,} bytes"),
    ]
    return h("section", h("h3", "The webhook"), facts(pairs))
