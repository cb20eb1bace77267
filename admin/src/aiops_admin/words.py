"""What the states of the work are called before a technician, and which colour they have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from aiops_admin.wire import Delivery, Effect, Run, Step

Tone = Literal["neutral", "info", "success", "warning", "error"]

STATES: dict[str, tuple[str, Tone, str]] = {
    "queued": ("Waiting", "neutral", "It waits for its turn."),
    "running": ("Working on it", "info", "The agent gathers what is known and writes the note."),
    "posting": ("Posting the note", "info", "The note is written and on its way to the ticket."),
    "done": ("Done", "success", "Everything this webhook asked for is done."),
    "ignored": ("Nothing to do", "neutral", "This webhook starts no work."),
    "quarantined": ("Set aside", "warning", "It could not be read, or broke the worker again and again."),
    "parked": ("Needs a person", "warning", "Whether the note arrived cannot be told; please look at the ticket."),
    "dead": ("Given up", "error", "It was tried as often as makes sense."),
}
"""Per state of a delivery: its name, its colour and one sentence about it."""

RUNS: dict[str, tuple[str, Tone, str]] = {
    "posted": ("Note posted", "success", "The note is on the ticket."),
    "posting": ("Posting the note", "info", "The note is written and on its way to the ticket."),
    "checking": ("Checking", "warning", "Whether the note arrived is being looked up on the ticket."),
    "parked": ("Needs a person", "warning", "Whether the note arrived cannot be told; please look at the ticket."),
    "refused": ("Not posted", "error", "The note was written, and the ticketing tool did not take it."),
    "kept": ("Earlier note kept", "neutral", "A note was on the ticket already, so this run's was not posted."),
    "dry-run": ("Dry run", "neutral", "The note was written and, as asked, not posted."),
    "failed": ("Failed", "error", "The run broke off before its note was written."),
}
"""Per outcome of a run: its name, its colour and one sentence about it."""

KINDS = {
    "opened": "New ticket",
    "updated": "Updated",
    "resolved": "Resolved",
    "commented": "Comment",
    "other": "Other change",
}

EFFECTS: dict[str, tuple[str, Tone]] = {
    "planned": ("Note waits to be posted", "neutral"),
    "sending": ("Note is being posted", "info"),
    "unknown": ("Checking whether the note arrived", "warning"),
    "confirmed": ("Note is on the ticket", "success"),
    "parked": ("Note needs a person", "warning"),
    "dead": ("Note was not posted", "error"),
}

OUTCOMES = {
    "planned": "note written",
    "posted": "note posted",
    "kept": "its note was there already",
    "learned": "added to the history",
    "dry-run": "dry run",
    "retry": "will be tried again",
    "ignored": "nothing to do",
    "dead": "given up",
    "gave-up": "given up",
    "crashed": "its worker died",
}

ROLES = {
    "platform-admin": "Platform administrator",
    "tenant-admin": "Tenant administrator",
    "technician": "Technician",
    "read-only": "Read only",
}


def state_of(delivery: Delivery) -> tuple[str, Tone, str]:
    """Return a delivery's state as name, colour and sentence."""
    if delivery.waits_for:
        name, _, _ = STATES["queued"]
        sentence = f"It waits for its paused connection {delivery.waits_for}: mend it, then resume it on Health."
        return name, "warning", sentence
    if delivery.suspended:
        return STATES["queued"][0], "warning", "It waits because its tenant is suspended."
    if delivery.state == "done":
        if delivery.action == "learn":
            return "Learned", "success", "The ticket's resolution was added to the history."
        if delivery.dry_run:
            return "Dry run done", "success", "The note was written and, as asked, not posted."
        if delivery.action == "run":
            return "Note posted", "success", "The note is on the ticket."
    return STATES.get(delivery.state, (delivery.state or "Unknown", "neutral", ""))


def outcome_of(run: Run) -> tuple[str, Tone, str]:
    """Return what became of a run as name, colour and sentence."""
    return RUNS.get(run.outcome, (run.outcome or run.state or "Unknown", "neutral", ""))


def replayable(delivery: Delivery) -> bool:
    """Return whether there is something to run on, and no work on it is under way or about to begin."""
    waiting = delivery.waits_for is not None or delivery.suspended
    about_to_begin = delivery.state == "queued" and (not delivery.attempt or waiting)
    return delivery.ticket_id is not None and delivery.state not in {"running", "posting"} and not about_to_begin


def lasted(run: Run) -> str:
    """Return how long a run took."""
    return seconds((run.finished_at - run.started_at).total_seconds() * 1000)


def used_by(run: Run | Step) -> list[str]:
    """Return the model, the tokens and the cost of a run or a step, as far as there are any."""
    tokens = run.prompt_tokens + run.completion_tokens
    parts = [run.model, f"{tokens:,} tokens" if tokens else None, money(run.cost_usd) if run.cost_usd else None]
    return [part for part in parts if part]


def money(dollars: float) -> str:
    """Return an amount people can read, however small."""
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4f}"


def effect_of(effect: Effect) -> tuple[str, Tone]:
    """Return what became of a note, as words and colour."""
    return EFFECTS.get(effect.state, (effect.state, "neutral"))


def kind_of(kind: str | None) -> str:
    """Return what happened to the ticket."""
    return KINDS.get(kind or "", kind or "Unknown")


def seconds(milliseconds: float) -> str:
    """Return a duration people can read."""
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.1f} s"


READINESS: dict[str, tuple[str, Tone]] = {
    "ready": ("Ready", "success"),
    "degraded": ("Works with limits", "warning"),
    "not-ready": ("Cannot work", "error"),
}
PARTS: dict[str, tuple[str, Tone]] = {
    "ok": ("Works", "success"),
    "degraded": ("Limited", "warning"),
    "failed": ("Failed", "error"),
}
PART_NAMES = {"postgresql": "PostgreSQL", "key": "Key file", "plugins": "Plugins", "wake-ups": "Wake-ups (Redis)"}

CONNECTIONS: dict[str, tuple[str, Tone, str]] = {
    "ok": ("Works", "success", "Nothing is in its way."),
    "untried": ("Not tried yet", "neutral", "Nothing was read or written there yet."),
    "waiting": ("Waits", "warning", "Its ticketing tool asked to wait a while."),
    "failing": ("Failing", "error", "What was tried there last did not succeed."),
    "paused": ("Paused", "error", "It was paused; its webhooks are kept and wait until it is resumed."),
}
"""Per state of a connection: its name, its colour and one sentence about it."""

FIGURES = {
    "success-rate": "Notes posted",
    "latency-p95": "Webhook to note",
    "queue-depth": "Queue",
    "active-workers": "Active workers",
    "pool-use": "Database connections",
}
RULES = {"at-least": "at least", "at-most": "at most", "below": "below"}


def quantity(value: float | None, unit: str) -> str:
    """Return a figure people can read."""
    if value is None:
        return "—"
    if unit == "share":
        return f"{100 * value:.1f}".removesuffix(".0") + " %"
    if unit == "seconds" and value >= 7200:  # noqa: PLR2004 - two hours
        return f"{value / 3600:.0f} h"
    if unit == "seconds" and value >= 600:  # noqa: PLR2004 - ten minutes
        return f"{value / 60:.0f} min"
    if unit == "seconds":
        return f"{value:.1f}".removesuffix(".0") + " s"
    return f"{value:.0f}"


STEPS = {
    "fetch ticket": "Read the ticket",
    "gather": "Gather evidence",
    "rank": "Rank the evidence",
    "synthesise": "Write the draft",
    "check": "Check every citation",
    "compose": "Compose the note",
}

PROOFS = {"static-header": "a secret header", "standard-webhooks": "a signature over time and body"}


FIELDS = {
    "usd": "Most money, in USD",
    "tokens": "Most tokens",
    "key": "API key",
    "endpoint": "Address of your resource",
    "overlap_hours": "Hours a replaced webhook secret stays valid",
    "new": "New password",
    "link_hosts": "Hosts notes may link to",
    "networks": "Networks that may post",
}
"""What forms call the fields of the API, where that is not its name."""
ENTRY = re.compile(r"\.\d+$")
"""How the name of a field goes on that is one of a list."""


def field_of(name: str, titles: Mapping[str, str] = FIELDS) -> str:
    """Return what people call a field of the API; ``networks.0`` is called as its list is."""
    name = ENTRY.sub("", name)
    return titles.get(name) or FIELDS.get(name) or name.replace("_", " ").capitalize()


def refusal_of(fields: Mapping[str, str], titles: Mapping[str, str] = FIELDS) -> str:
    """Return what is wrong with fields as sentences; one that is a sentence of its own needs no name in front.

    ``titles`` are what the form that was sent calls its fields, where the API does not tell.
    """
    return " ".join(
        text if text[:1].isupper() else f"{field_of(name, titles)}: {text}" for name, text in fields.items()
    )


def step_of(name: str) -> str:
    """Return what a step does."""
    return STEPS.get(name, name.replace("_", " ").replace("-", " ").capitalize())


def proof_of(scheme: str) -> str:
    """Return how the sender proved itself."""
    return PROOFS.get(scheme, "a signature over the body" if scheme.endswith("-signature") else scheme)
