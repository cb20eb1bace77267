"""What the states of the work are called before a technician, and which colour they have."""

from __future__ import annotations

from typing import Literal

from aiops_admin.wire import Delivery, Effect

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
    if delivery.state == "done":
        if delivery.action == "learn":
            return "Learned", "success", "The ticket's resolution was added to the history."
        if delivery.dry_run:
            return "Dry run done", "success", "The note was written and, as asked, not posted."
        if delivery.action == "run":
            return "Note posted", "success", "The note is on the ticket."
    return STATES.get(delivery.state, (delivery.state or "Unknown", "neutral", ""))


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


STEPS = {
    "fetch ticket": "Read the ticket",
    "gather": "Gather evidence",
    "rank": "Rank the evidence",
    "synthesise": "Write the draft",
    "check": "Check every citation",
    "compose": "Compose the note",
}

PROOFS = {"static-header": "a secret header", "standard-webhooks": "a signature over time and body"}


def step_of(name: str) -> str:
    """Return what a step does."""
    return STEPS.get(name, name.replace("_", " ").replace("-", " ").capitalize())


def proof_of(scheme: str) -> str:
    """Return how the sender proved itself."""
    return PROOFS.get(scheme, "a signature over the body" if scheme.endswith("-signature") else scheme)
