"""The last step, and the list of all five in the order the graph walks them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from aiops_agents import extract
from aiops_agents.enhance.check import check
from aiops_agents.enhance.gather import gather
from aiops_agents.enhance.rank import rank
from aiops_agents.enhance.state import RunState, StepResult
from aiops_agents.enhance.synthesise import synthesise
from aiops_core import Evidence, NoteDraft, NoteSection, RunContext, check_draft

StepFunction: TypeAlias = Callable[[RunState, RunContext], Awaitable[StepResult]]


async def compose(state: RunState, context: RunContext) -> StepResult:
    """Add what must not be missing, and hand over the finished draft."""
    draft = state["draft"]
    added = list(_missing(state["ticket"].text, draft.sections, state["evidence"]))
    final = check_draft(NoteDraft((*draft.sections, *added), state["evidence"], state["triage"], state["notices"]))
    return StepResult(
        update={"draft": final},
        inputs={"sections": [s.kind for s in draft.sections]},
        outputs={"added": [s.kind for s in added], "draft": msgspec.to_builtins(final)},
    )


STEPS: dict[str, StepFunction] = {
    "gather": gather,
    "rank": rank,
    "synthesise": synthesise,
    "check": check,
    "compose": compose,
}
GRAPH = {"evidence": ("gather", "rank"), "note": ("synthesise", "check", "compose")}
"""Each node of the graph with its steps. A node begins where a run waits for others; going from one to the next takes
LangGraph 0.2 ms, so that five nodes cost a run twice as much as two."""


def _missing(ticket: str, said: Sequence[NoteSection], evidence: Sequence[Evidence]) -> Iterator[NoteSection]:
    """Make the sections that always appear when there is evidence for them."""
    kinds = {section.kind for section in said}
    items = extract.numbered(evidence)
    for section in (extract.similar(items), extract.documentation(ticket, items), extract.systems(items)):
        if section is not None and section.kind not in kinds:
            yield section
