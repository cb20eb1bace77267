"""One delivery as a tree: what came of it, its note, and every step of the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aiops_admin import words
from aiops_admin.pages.delivery_list import chip, when
from aiops_admin.pages.note import note
from aiops_admin.safe import Node, h, safe_link
from aiops_admin.wire import Attempt, Delivery, DeliveryDetail, Effect, Run, RunDetail, Step
from aiops_core.tickets import Enhancement

MAX_JSON = 20_000


def detail_sheet(detail: DeliveryDetail, runs: Sequence[RunDetail]) -> Node:
    """Return the sheet beside the list."""
    delivery = detail.delivery
    return _sheet(
        f"Ticket {delivery.ticket_id}" if delivery.ticket_id else "Delivery without a ticket",
        h("p", delivery.title, class_="title") if delivery.title else None,
        _outcome(delivery),
        *_notes(detail.effects, runs),
        _attempts(detail.attempts),
        *(_run(run) for run in runs),
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


def _outcome(delivery: Delivery) -> Node:
    name, tone, sentence = words.state_of(delivery)
    due = delivery.due_at if delivery.state == "queued" and delivery.attempt else None
    url = safe_link(delivery.note_url)
    return h(
        "section",
        chip(name, tone),
        h("p", sentence),
        h("p", delivery.reason, class_=f"notice {tone}") if delivery.reason else None,
        h("p", "It is tried again at ", when(due, show="exact"), ".") if due else None,
        h("a", "Open the note on the ticket", href=url, target="_blank", rel="noopener noreferrer", class_="button")
        if url
        else None,
        class_="outcome",
    )


def _notes(effects: Sequence[Effect], runs: Sequence[RunDetail]) -> list[Node]:
    if effects:
        return [_effect(effect) for effect in effects]
    unposted = [run for run in runs if run.enhancement]
    return [_unposted(unposted[-1])] if unposted else []


def _effect(effect: Effect) -> Node:
    name, tone = words.effect_of(effect)
    moment = effect.confirmed_at or effect.planned_at
    return h(
        "section",
        h("div", h("h3", "Note"), chip(name, tone), h("small", when(moment)), class_="heading"),
        h("p", effect.reason, class_=f"notice {tone}") if effect.reason else None,
        note(effect.blocks),
        key=str(effect.id),
    )


def _unposted(run: RunDetail) -> Node:
    enhancement = msgspec.convert(run.enhancement, Enhancement)
    return h(
        "section",
        h("div", h("h3", "Note"), chip("Not posted", "neutral"), class_="heading"),
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


def _run(detail: RunDetail) -> Node:
    run = detail.run
    lasted = words.seconds((run.finished_at - run.started_at).total_seconds() * 1000)
    used = [f"Agent {run.agent} {run.agent_version}".strip(), lasted, *_model(run)]
    return h(
        "section",
        h("div", h("h3", "Steps of the run"), h("small", " · ".join(used)), class_="heading"),
        h("p", run.error, class_="notice error") if run.error else None,
        h("div", *(_step(step) for step in detail.steps), class_="steps"),
        key=str(run.id),
    )


def _model(run: Run) -> list[str]:
    if run.model is None:
        return []
    tokens = run.prompt_tokens + run.completion_tokens
    cost = [f"${run.cost_usd:.4f}"] if run.cost_usd else []
    return [run.model, *([f"{tokens} tokens"] if tokens else []), *cost]


def _step(step: Step) -> Node:
    shown = [(name, value) for name, value in (("In", step.inputs), ("Out", step.outputs)) if value]
    return h(
        "details",
        h("summary", h("b", words.step_of(step.name)), h("small", words.seconds(step.milliseconds)), _step_mark(step)),
        h("p", step.error, class_="notice error") if step.error else None,
        *(h("div", h("small", name), h("pre", _json(value))) for name, value in shown),
        key=str(step.number),
    )


def _step_mark(step: Step) -> Node | None:
    return chip("Failed", "error") if step.error else None


def _facts(detail: DeliveryDetail) -> Node:
    delivery = detail.delivery
    facts: list[tuple[str, Node]] = [
        ("Received", when(delivery.received_at, show="exact")),
        ("What happened", words.kind_of(delivery.kind)),
        ("Connection", f"{delivery.connection} ({delivery.ticketing_tool})"),
        ("Proven by", words.proof_of(detail.proof_scheme)),
        ("Sender's id", detail.external_id),
        ("Delivery", str(delivery.id)),
        ("Size", f"{detail.body_bytes:,} bytes"),
    ]
    pairs = [part for name, value in facts for part in (h("dt", name), h("dd", value))]
    return h("section", h("h3", "The webhook"), h("dl", *pairs))


def _json(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return text if len(text) <= MAX_JSON else text[:MAX_JSON] + "\n…"
