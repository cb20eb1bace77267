"""One run as a tree: the note it wrote, the evidence it rests on, and every step of the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from aiops_admin import words
from aiops_admin.pages.bits import chip, facts, out_link, skeleton, when
from aiops_admin.pages.note import note
from aiops_admin.pages.steps import steps
from aiops_admin.safe import Node, h
from aiops_admin.wire import Run, RunDetail
from aiops_core.tickets import Enhancement, Evidence, ListBlock

SOURCE = re.compile(r"\[(\d+)\] (.+)", re.DOTALL)
UNKNOWN = "It was written in a form this dashboard does not know. Install the same version of host and dashboard."


def run_detail(detail: RunDetail, *, back: str, delivery: str, others: str) -> Node:
    """Return the page of a run; ``back``, ``delivery`` and ``others`` are addresses."""
    return h(
        "div",
        _way_back(back),
        _head(detail, delivery, others),
        h("div", _note(detail), _evidence(detail), class_="halves"),
        h("section", h("h2", "Steps"), steps(detail.steps), class_="card"),
        class_="run",
        key=str(detail.run.id),
    )


def missing_run(back: str) -> Node:
    """Return the page of an address that names no run of this tenant."""
    text = "This tenant has no such run. Perhaps it belongs to another tenant, or was removed with age."
    return _message(back, "No such run", text)


def refused_run(back: str, reason: str) -> Node:
    """Return the page of a run the host does not show."""
    return _message(back, "This run cannot be shown", reason)


def waiting_run(back: str) -> Node:
    """Return the page of a run that is being fetched."""
    return h("div", _way_back(back), skeleton(), class_="run", aria_busy="true")


def _message(back: str, title: str, text: str) -> Node:
    return h("div", _way_back(back), h("section", h("h1", title), h("p", text), class_="card"), class_="run")


def _way_back(back: str) -> Node:
    return h("p", h("a", "← All runs", href=back or "?", data_action="close"), class_="back")


def _head(detail: RunDetail, delivery: str, others: str) -> Node:
    run = detail.run
    name, tone, sentence = words.outcome_of(run)
    ticket = run.ticket_number or run.ticket_id
    return h(
        "section",
        h("div", h("h1", f"Ticket {ticket}"), chip(name, tone), class_="heading"),
        h("p", run.title, class_="title") if run.title else None,
        h("p", sentence) if sentence else None,
        h("p", run.reason, class_=f"notice tone-{tone}") if run.reason else None,
        h(
            "div",
            out_link("Open the ticket", run.ticket_url, class_="button out"),
            out_link("Open the note", run.note_url, class_="button out"),
            h("a", "Delivery", href=delivery, class_="button"),
            h("a", "All runs of this ticket", href=others, class_="button"),
            class_="buttons",
        ),
        _facts(run),
        _ticket(detail.ticket),
        class_="card",
    )


def _ticket(ticket: dict[str, Any] | None) -> Node | None:
    description = (ticket or {}).get("description")
    return _text("What the agent read of the ticket", description) if isinstance(description, str) else None


def _facts(run: Run) -> Node:
    tokens = f"{run.prompt_tokens:,} in, {run.completion_tokens:,} out"
    return h(
        "div",
        facts(
            [
                ("Started", when(run.started_at, show="exact")),
                ("Took", words.lasted(run)),
                ("Agent", f"{run.agent} {run.agent_version}".strip()),
                ("Model", run.model or "none"),
                ("Tokens", tokens if run.prompt_tokens + run.completion_tokens else "none"),
                ("Cost", words.money(run.cost_usd) if run.cost_usd else "none"),
                ("Connection", f"{run.connection} ({run.ticketing_tool})"),
                ("Try", str(run.attempt)),
            ]
        ),
        class_="strip",
    )


def _note(detail: RunDetail) -> Node:
    if detail.enhancement is None:
        text = "The run broke off before its note was written; its steps show how far it came."
        return _half("Note", h("p", text, class_="quiet"))
    try:
        return _half("Note", note(msgspec.convert(detail.enhancement, Enhancement).body))
    except msgspec.ValidationError:
        return _half("Note", h("p", UNKNOWN, class_="notice tone-warning"))


def _evidence(detail: RunDetail) -> Node:
    found = (detail.draft or {}).get("evidence") or ()
    try:
        items = msgspec.convert(found, tuple[Evidence, ...])
    except msgspec.ValidationError:
        return _half("Evidence", h("p", UNKNOWN, class_="notice tone-warning"))
    if not items:
        text = "Nothing was found that helps with this ticket; the steps show what was asked."
        return _half("Evidence", h("p", text, class_="quiet"))
    return _half("Evidence", *_lists(items, _sources(detail.enhancement)))


def _sources(enhancement: dict[str, Any] | None) -> dict[str, int]:
    """Return the number of each source the note lists, by the words after it."""
    try:
        body = msgspec.convert(enhancement or {"body": ()}, Enhancement).body
    except msgspec.ValidationError:
        return {}
    entries = [item for block in body if isinstance(block, ListBlock) for item in block.items]
    found = (SOURCE.match(item if isinstance(item, str) else item.text) for item in entries)
    return {entry[2]: int(entry[1]) for entry in found if entry}


def _half(title: str, *contents: Node) -> Node:
    return h("section", h("h2", title), *contents, class_="card")


def _lists(items: Sequence[Evidence], sources: dict[str, int]) -> list[Node]:
    """Return the evidence as the note numbers it, which leaves out what no claim rests on; the rest follows."""
    scores: dict[str, list[float]] = {}
    for item in items:
        scores.setdefault(item.source, []).append(item.score)
    numbered = [(_number(item, sources), item) for item in items]
    cited = sorted(((n, item) for n, item in numbered if n), key=lambda pair: pair[0])
    others = [item for n, item in numbered if not n]
    lists = [h("ol", *(_item(n, item, scores[item.source]) for n, item in cited), class_="evidence", key="cited")]
    if others:
        title = h("h3", "Found, but not cited", key="title") if cited else None
        rest = h("ol", *(_item(None, item, scores[item.source]) for item in others), class_="evidence", key="others")
        lists = [*(lists if cited else ()), *((title,) if title else ()), rest]
    return lists


def _number(item: Evidence, sources: dict[str, int]) -> int | None:
    named = f"{item.source} {item.ref}:"
    return next((number for words_, number in sources.items() if words_.startswith(named)), None)


def _item(number: int | None, item: Evidence, scores: Sequence[float]) -> Node:
    known = [f"score {item.score:.3g}" if item.score else None, item.category, item.priority]
    about = " · ".join(part for part in known if part)
    return h(
        "li",
        h("b", f"[{number}]", class_="number") if number else None,
        h(
            "div",
            h("div", h("small", item.source, class_="kind"), out_link(item.ref, item.url) or h("span", item.ref)),
            h("p", item.title, class_="title"),
            _bar(item.score, scores),
            h("small", *([when(item.time, show="date"), " · "] if item.time else []), about),
            _text("What fixed it", item.resolution),
            _text("Text", item.text),
        ),
    )


def _bar(score: float, scores: Sequence[float]) -> Node | None:
    """Return a score beside the others of its source; scores of two sources do not compare."""
    if len(scores) == 1 or max(scores) <= 0:
        return None
    bar = h("span", class_="bar", data_from="0", data_span=f"{100 * score / max(scores):.0f}")
    return h("span", bar, class_="track", aria_hidden="true")


def _text(name: str, text: str | None) -> Node | None:
    return h("details", h("summary", name), h("p", text, class_="words"), class_="more") if text else None
