"""The steps of a run as a timeline: when each began, how long it took, what went in and came out."""

from __future__ import annotations

from collections.abc import Sequence

from aiops_admin import words
from aiops_admin.pages.bits import as_json, chip
from aiops_admin.safe import Node, h
from aiops_admin.wire import Step

LEAST_PERCENT = 0.6


def steps(taken: Sequence[Step]) -> Node:
    """Return the timeline; each step opens."""
    if not taken:
        return h("p", "The run recorded no step.", class_="quiet")
    starts = [step.started_at.timestamp() * 1000 for step in taken]
    whole = max(start + step.milliseconds for start, step in zip(starts, taken, strict=True)) - min(starts)
    bars = [
        _bar(start - min(starts), step.milliseconds, whole or 1.0) for start, step in zip(starts, taken, strict=True)
    ]
    return h("div", *(_step(step, bar) for step, bar in zip(taken, bars, strict=True)), class_="steps")


def _bar(begins: float, lasts: float, whole: float) -> Node:
    span = max(100 * lasts / whole, LEAST_PERCENT)
    return h("span", class_="bar", data_from=f"{min(100 * begins / whole, 100 - span):.2f}", data_span=f"{span:.2f}")


def _step(step: Step, bar: Node) -> Node:
    shown = [(name, value) for name, value in (("In", step.inputs), ("Out", step.outputs)) if value]
    used = words.used_by(step)
    return h(
        "details",
        h(
            "summary",
            h("b", words.step_of(step.name)),
            chip("Failed", "error") if step.error else None,
            h("span", bar, class_="track", aria_hidden="true"),
            h("small", words.seconds(step.milliseconds), class_="took"),
        ),
        h("p", step.error, class_="notice tone-error") if step.error else None,
        h("p", " · ".join(used), class_="quiet") if used else None,
        *(h("div", h("small", name), h("pre", as_json(value))) for name, value in shown),
        None if shown or step.error else h("p", "Nothing went in or came out.", class_="quiet"),
        key=str(step.number),
    )
