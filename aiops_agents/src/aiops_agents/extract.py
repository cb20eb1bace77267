"""Claims made from the evidence alone: quoted sentences with their citations, no model and no judgement of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiops_agents.words import joined, likeness, sentences, shortened, steps, terms
from aiops_core import Claim, Evidence, NoteSection

STRONG = 0.34
"""From this likeness on a past ticket is called the same kind of trouble."""

_SIMILAR_WORDS = 38
_ARTICLE_WORDS = 30
_SYSTEM_WORDS = 30
_STEP_WORDS = 30
_MAX_STEPS = 3


@dataclass(frozen=True, slots=True)
class Numbered:
    """One item of the evidence and its number in the note."""

    number: int
    item: Evidence

    @property
    def name(self) -> str:
        """How a sentence of the note calls the item."""
        return f"{self.item.ref} ({shortened(self.item.title, 12)})"


def numbered(evidence: Sequence[Evidence]) -> list[Numbered]:
    """Number evidence from 1 in its order."""
    return [Numbered(n, e) for n, e in enumerate(evidence, 1)]


def summary(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Say what the ticket looks like: the closest past ticket, what it was about and how many were alike."""
    wanted = terms(ticket)
    past = [n for n in evidence if n.item.source == "ticket"]
    if not past:
        return _about_article(wanted, evidence)
    closest = past[0]
    strong = likeness(wanted, terms(f"{closest.item.title}\n{closest.item.text}")) >= STRONG
    lead = "Looks like" if strong else "Closest past ticket:"
    about = best_sentences(_without_title(closest.item), wanted, words=30)
    claims = [Claim(joined([f"{lead} {closest.name}", *about]), (closest.number,)), *_same_category(past)]
    return NoteSection("summary", tuple(claims))


def similar(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Quote what fixed each past ticket; one without a resolution has nothing to say here."""
    wanted = terms(ticket)
    claims = [
        Claim(joined([f"{n.name}, fixed by: {quote}"]), (n.number,))
        for n in evidence
        if n.item.source == "ticket" and (quote := _decisive(n.item, wanted))
    ]
    return NoteSection("similar", tuple(claims)) if claims else None


def documentation(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Name each article with its most fitting sentences; evidence of any other kind is quoted the same way."""
    wanted = terms(ticket)
    claims = [
        Claim(
            joined([f"{n.name}: {' '.join(best_sentences(n.item.text, wanted, words=_ARTICLE_WORDS))}".rstrip(": ")]),
            (n.number,),
        )
        for n in evidence
        if n.item.source not in {"ticket", "asset"}
    ]
    return NoteSection("documentation", tuple(claims)) if claims else None


def systems(evidence: Sequence[Numbered]) -> NoteSection | None:
    """State the facts of each asset."""
    claims = [Claim(_facts(n.item), (n.number,)) for n in evidence if n.item.source == "asset"]
    return NoteSection("systems", tuple(claims)) if claims else None


def next_steps(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Quote the steps of the most fitting article and say which past fix to try."""
    wanted = terms(ticket)
    claims = [*_past_fix(wanted, evidence), *_article_steps(wanted, evidence)]
    return NoteSection("next_steps", tuple(claims)) if claims else None


def best_sentences(text: str, wanted: frozenset[str], *, words: int) -> list[str]:
    """Return the sentences of a text that share most with ``wanted``, at most ``words`` words, in their order."""
    found = sentences(text)
    if len(text.split()) <= words:
        return found
    order = sorted(range(len(found)), key=lambda i: (-_fit(found[i], wanted), i))
    chosen: list[int] = []
    left = words
    for index in order:
        length = len(found[index].split())
        if length <= left:
            chosen.append(index)
            left -= length
    if not chosen:
        return [shortened(found[order[0]], words)] if found else []
    return [found[i] for i in sorted(chosen)]


def _fit(sentence: str, wanted: frozenset[str]) -> float:
    """Shared words weigh most; among sentences without any, the one that says more wins."""
    said = terms(sentence)
    return len(said & wanted) / math.sqrt(1 + len(said)) + min(len(said), 12) / 100


def _decisive(item: Evidence, wanted: frozenset[str]) -> str:
    if not item.resolution:
        return ""
    subject = wanted | terms(item.title)
    return " ".join(best_sentences(item.resolution, subject, words=_SIMILAR_WORDS))


def _without_title(item: Evidence) -> str:
    return item.text.removeprefix(item.title).strip()


def _about_article(wanted: frozenset[str], evidence: Sequence[Numbered]) -> NoteSection | None:
    article = next((n for n in evidence if n.item.source == "article"), None)
    if article is None:
        return None
    quote = best_sentences(article.item.text, wanted, words=25)
    return NoteSection(
        "summary", (Claim(joined([f"Closest documentation: {article.name}", *quote]), (article.number,)),)
    )


def _same_category(past: Sequence[Numbered]) -> list[Claim]:
    counted = Counter(n.item.category for n in past if n.item.category)
    if not counted:
        return []
    category, count = counted.most_common(1)[0]
    alike = tuple(n.number for n in past if n.item.category == category)
    return (
        [Claim(f"{count} of {len(past)} similar past tickets were filed under {category}.", alike)] if count > 1 else []
    )


def _facts(item: Evidence) -> str:
    facts = " ".join(_without_title(item).split()).lstrip(":;,. ")
    return joined([shortened(f"{item.title}: {facts}" if facts else item.title, _SYSTEM_WORDS)])


def _past_fix(wanted: frozenset[str], evidence: Sequence[Numbered]) -> list[Claim]:
    best = next((n for n in evidence if n.item.source == "ticket" and n.item.resolution), None)
    if best is None or likeness(wanted, terms(f"{best.item.title}\n{best.item.text}")) < STRONG:
        return []
    fix = shortened(_decisive(best.item, wanted), _STEP_WORDS)
    return [Claim(f"Check whether the fix of {best.item.ref} applies here: {fix}", (best.number,))]


def _article_steps(wanted: frozenset[str], evidence: Sequence[Numbered]) -> list[Claim]:
    """Quote consecutive steps of the first article that has any, from where they fit the ticket best."""
    for n in evidence:
        found = steps(n.item.text) if n.item.source == "article" else []
        if len(found) > 1:
            starts = range(max(1, len(found) - _MAX_STEPS + 1))
            start = max(starts, key=lambda i: (sum(_fit(s, wanted) for s in found[i : i + _MAX_STEPS]), -i))
            return [Claim(shortened(s, _STEP_WORDS), (n.number,)) for s in found[start : start + _MAX_STEPS]]
    return []
