"""The fourth step: only what the evidence carries stays, and a deed only when the cited evidence tells of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiops_agents.enhance.state import RunState, StepResult
from aiops_agents.words import stem, terms
from aiops_core import Claim, Evidence, NoteDraft, NoteSection, RunContext, check_draft

UNUSABLE = "The language model's answer could not be used; this note was made without AI text."

_DEED = re.compile(
    r"\b(?:has|have|had|was|were|is|are|been)\s+(?:(?:\w+ly|now|already|been|just|also)\s+){0,3}"
    r"(?P<verb>(?:approv|authori[sz]|block|cancel|chang|check|clear|clos|complet|confirm|contact|creat|delet|disabl|"
    r"enabl|escalat|execut|fix|forward|grant|inform|install|notifi|post|process|publish|reboot|releas|remov|replac|"
    r"resolv|restart|restor|revok|solv|transferr|unblock|unlock|updat|validat|verifi)ed|sent|reset|paid)\b",
    re.I,
)
_OF_THIS_TICKET = re.compile(
    r"\b(?:this|the|your)\s+(?:ticket|requester)\s+(?:has|have|had|was|is)\b|\b(?:dieses|das|ihr)\s+ticket\s+(?:wurde|ist)\b",
    re.I,
)


async def check(state: RunState, context: RunContext) -> StepResult:
    """Keep only claims that the evidence carries; the numbers stay those of the ranked evidence."""
    draft, evidence = state["draft"], state["evidence"]
    founded = tuple(
        NoteSection(s.kind, tuple(claim for claim in s.claims if not _made_up(claim, evidence))) for s in draft.sections
    )
    checked = check_draft(NoteDraft(founded, evidence))
    positions = {n: evidence.index(item) + 1 for n, item in enumerate(checked.evidence, 1)}
    sections = tuple(
        NoteSection(s.kind, tuple(Claim(c.text, tuple(positions[n] for n in c.citations)) for c in s.claims))
        for s in checked.sections
    )
    said, kept = count(draft.sections), count(sections)
    unusable = state["answered"] and bool(evidence) and not kept
    return StepResult(
        update={
            "draft": NoteDraft(sections, evidence),
            "notices": (*state["notices"], UNUSABLE) if unusable else state["notices"],
        },
        inputs={"claims": said},
        outputs={"kept": kept, "dropped": said - kept},
    )


def count(sections: Sequence[NoteSection]) -> int:
    """Return the number of claims."""
    return sum(len(section.claims) for section in sections)


def _made_up(claim: Claim, evidence: Sequence[Evidence]) -> bool:
    """A deed under a valid number is still only the model's word, unless the item of that number tells of it."""
    if _OF_THIS_TICKET.search(claim.text) or not terms(claim.text):
        return True
    cited = (evidence[n - 1] for n in claim.citations if 1 <= n <= len(evidence))
    told = terms("\n".join(f"{item.title}\n{item.text}\n{item.resolution or ''}" for item in cited))
    return any(stem(deed["verb"].casefold()) not in told for deed in _DEED.finditer(claim.text))
