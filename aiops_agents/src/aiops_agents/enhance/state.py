"""What passes between the steps of the enhancing agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from aiops_core import Evidence, NoteDraft, Ticket, Triage
from aiops_core.services import JsonObject


class RunState(TypedDict, total=False):
    """The graph's state.

    ``found`` is what the tools gave, ``evidence`` what the note may cite; ``answered`` whether a model did.
    """

    ticket: Ticket
    found: tuple[Evidence, ...]
    evidence: tuple[Evidence, ...]
    triage: Triage | None
    draft: NoteDraft
    answered: bool
    notices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What one step changes in the state, and what the run's timeline keeps of it."""

    update: RunState
    inputs: JsonObject = field(default_factory=dict)
    outputs: JsonObject = field(default_factory=dict)
    error: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
