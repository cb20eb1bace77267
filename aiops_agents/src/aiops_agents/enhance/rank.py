"""The second step: keep what really fits the ticket, and let the past tickets vote on the triage."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import cast

import msgspec

from aiops_agents.enhance.gather import scored
from aiops_agents.enhance.state import RunState, StepResult
from aiops_agents.words import terms
from aiops_core import Evidence, RunContext, Triage
from aiops_core.tickets import Priority

LIMITS = {"ticket": 5, "article": 3, "asset": 4}
OTHER_LIMIT = 3
MAX_EVIDENCE = 10
OF_THE_BEST = 0.5
"""An item with less than this share of its source's best score is not like the ticket."""

MIN_SHARED = 4
"""Words a past ticket must share with an ordinary ticket. A shorter ticket asks for a quarter of its words, and
one of more than ``LONG`` words, such as one with a pasted log, for one more per 20: long texts meet by chance."""

LONG = 60
MIN_KIN = 1.5
"""What words shared with the closest past ticket, counted half, must add for every further one."""

MIN_KIN_ARTICLE = 7.5
MIN_SHARED_ARTICLE = 3
"""An article not clearly about the ticket must share this much with it, with the closest past ticket counted half."""


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
    tickets = _alike_tickets(_best(by_source.pop("ticket", {}).values()), wanted)
    articles = _alike_articles(_best(by_source.pop("article", {}).values()), wanted, tickets[:1])
    others = {source: list(by_source[source].values()) for source in sorted(by_source)}
    return {"ticket": tickets, "article": articles, "asset": others.pop("asset", []), **others}


def _best(items: Iterable[Evidence]) -> list[Evidence]:
    ordered = sorted(items, key=lambda item: -item.score)
    return [item for item in ordered if item.score >= OF_THE_BEST * ordered[0].score]


def _alike_tickets(items: list[Evidence], wanted: frozenset[str]) -> list[Evidence]:
    """Keep the closest past ticket if it is close at all, and those that are like the ticket and like that one."""
    needed = _needed(wanted)
    alike = [(item, _terms_of(item)) for item in items]
    alike = [(item, said) for item, said in alike if len(said & wanted) >= needed]
    closest = alike[0][1] if alike else frozenset()
    return [
        item
        for place, (item, said) in enumerate(alike)
        if place == 0 or len(said & wanted) + len(said & closest - wanted) / 2 >= needed + MIN_KIN
    ]


def _alike_articles(items: list[Evidence], wanted: frozenset[str], closest: list[Evidence]) -> list[Evidence]:
    """Keep what is clearly about the ticket, or about the closest past ticket: a requester lacks an article's words."""
    known = _terms_of(closest[0]) - wanted if closest else frozenset()
    shared = [(item, len(said & wanted), len(said & known)) for item in items for said in (_terms_of(item),)]
    needed = _needed(wanted)
    return [
        item
        for item, own, kin in shared
        if own > needed or (own >= MIN_SHARED_ARTICLE and own + kin / 2 >= MIN_KIN_ARTICLE)
    ]


def _needed(wanted: frozenset[str]) -> int:
    ordinary = min(max(math.ceil(len(wanted) / 4), 1), MIN_SHARED)
    return ordinary + max(len(wanted) - LONG, 0) // 20


def _terms_of(item: Evidence) -> frozenset[str]:
    return terms(f"{item.title}\n{item.text}\n{item.resolution or ''}")
