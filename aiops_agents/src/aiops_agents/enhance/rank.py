"""The second step: keep what really fits the ticket, and let the past tickets vote on the triage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from aiops_agents.enhance.gather import scored
from aiops_agents.enhance.state import RunState, StepResult
from aiops_agents.words import likeness, terms
from aiops_core import Evidence, RunContext, Triage
from aiops_core.tickets import Priority

LIMITS = {"ticket": 5, "article": 3, "asset": 4}
OTHER_LIMIT = 3
MAX_EVIDENCE = 10
MIN_LIKENESS = 0.2
MIN_SHARED = 2
OF_THE_BEST = 0.4
"""An item with less than this share of its source's best score is not like the ticket."""

_ORDER = {"ticket": 0, "article": 1, "asset": 2}


async def rank(state: RunState, context: RunContext) -> StepResult:
    """Bound the evidence, best first within each source, and count the votes."""
    ticket = state["ticket"]
    by_source = _fitting(ticket.text, state["found"])
    triage = vote(by_source.get("ticket", []))
    kept = [e for source in by_source for e in by_source[source][: LIMITS.get(source, OTHER_LIMIT)]]
    evidence = tuple(kept[:MAX_EVIDENCE])
    return StepResult(
        update={"evidence": evidence, "triage": triage},
        inputs={"found": len(state["found"])},
        outputs={
            "evidence": msgspec.to_builtins(evidence),
            "dropped": [scored(e) for e in state["found"] if e not in evidence],
            "triage": msgspec.to_builtins(triage),
        },
    )


def vote(past: Sequence[Evidence]) -> Triage | None:
    """Let past tickets vote on category and priority, each with its score; the confidence is the winner's share."""
    if not past:
        return None
    category, category_share = _winner((e.category, e.score) for e in past)
    priority, priority_share = _winner((e.priority, e.score) for e in past)
    return Triage(
        category=category,
        category_confidence=round(category_share, 3),
        priority=cast(Priority | None, priority),
        priority_confidence=round(priority_share, 3),
        votes=len(past),
    )


def _winner(votes: Iterable[tuple[str | None, float]]) -> tuple[str | None, float]:
    weights: dict[str | None, float] = defaultdict(float)
    for choice, weight in votes:
        weights[choice] += max(weight, 1e-9)
    named = {choice: weight for choice, weight in weights.items() if choice is not None and choice != "unknown"}
    if not named:
        return None, 0.0
    best = max(named, key=lambda choice: (named[choice], choice))
    return best, named[best] / sum(weights.values())


def _fitting(text: str, found: Iterable[Evidence]) -> dict[str, list[Evidence]]:
    by_source: dict[str, dict[str, Evidence]] = defaultdict(dict)
    for item in found:
        by_source[item.source].setdefault(item.ref, item)
    wanted = terms(text)
    sources = sorted(by_source, key=lambda source: (_ORDER.get(source, len(_ORDER)), source))
    return {source: _of_source(source, list(by_source[source].values()), wanted) for source in sources}


def _of_source(source: str, items: list[Evidence], wanted: frozenset[str]) -> list[Evidence]:
    if source not in {"ticket", "article"}:
        return items
    alike = [e for e in items if _is_alike(e, wanted)]
    best = max((e.score for e in alike), default=0.0)
    return sorted((e for e in alike if e.score >= OF_THE_BEST * best), key=lambda e: -e.score)


def _is_alike(item: Evidence, wanted: frozenset[str]) -> bool:
    offered = terms(f"{item.title}\n{item.text}")
    return len(wanted & offered) >= MIN_SHARED and likeness(wanted, offered) >= MIN_LIKENESS
