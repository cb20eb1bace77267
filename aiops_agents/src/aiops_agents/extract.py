"""Claims made from the evidence alone: quoted sentences with their citations, no model and no judgement of its own."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aiops_agents.articles import Item, Procedure, procedures
from aiops_agents.words import joined, likeness, shortened, terms
from aiops_agents.words import sentences as split
from aiops_core import Claim, Evidence, NoteSection

STRONG = 0.3
"""From this likeness on the closest past ticket is called the same kind of trouble."""

_RESOLUTION_WORDS = (46, 32, 24)
_CONTINUED_WORDS = 48
_SYSTEM_WORDS = (38, 24, 16)
_SYMPTOM_WORDS = 26
_ARTICLE_WORDS = 26
_CAUSE_WORDS = 26
_STEP_WORDS = 28
_TITLE_WORDS = 12
_CUT_FROM = 6
_CLOSE = 0.85
_MAX_STEPS = 3
_MAX_POINTS = 2
_NUMBERED_BONUS = 1.25

_BRACKETED = re.compile(r"[\[【](\s?\^?\d[^\]】]{0,60})[\]】]")
_WHO = re.compile(
    r"^(?:(?:i|we)(?:['\u2019]ve|\s+(?:have|had)(?!\s+to\b))?|(?:ich|wir)\s+haben?)\s+"
    r"(?!(?:am|are|was|were|can|could|will|would|must|should|do|did|think|have|had)\b|\w+n['\u2019]t\b)(?=\w)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Numbered:
    """One item of the evidence and its number in the note."""

    number: int
    item: Evidence

    @property
    def name(self) -> str:
        """How a sentence of the note calls the item."""
        return _BRACKETED.sub(r"(\1)", f"{self.item.ref} ({shortened(self.item.title, _TITLE_WORDS)})")


def numbered(evidence: Sequence[Evidence]) -> list[Numbered]:
    """Number evidence from 1 in its order."""
    return [Numbered(n, e) for n, e in enumerate(evidence, 1)]


def summary(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Say what the ticket looks like: the closest past ticket, its symptoms, and how many were filed alike."""
    past = [n for n in evidence if n.item.source == "ticket"]
    if not past:
        return _about_article(terms(ticket), evidence)
    closest = past[0]
    strong = likeness(terms(ticket), terms(f"{closest.item.title}\n{closest.item.text}")) >= STRONG
    lead = "Looks like" if strong else "Closest past ticket:"
    symptoms = best_sentences(_without_title(closest.item), terms(ticket), words=_SYMPTOM_WORDS)
    claim = Claim(joined([f"{lead} {closest.name}", *symptoms]), (closest.number,))
    return NoteSection("summary", (claim, *_same_category(past)))


def similar(evidence: Sequence[Numbered]) -> NoteSection | None:
    """Quote what fixed each past ticket, the closest at most length; one without a resolution says nothing."""
    claims = []
    for place, n in enumerate(_solved(evidence)):
        said = sentences(n.item.resolution or "")
        quote, left = _leading(said, _limit(_RESOLUTION_WORDS, place), cut=place > 0)
        claims.append(Claim(joined([f"{n.name}, resolved: {quote}"]), (n.number,)))
        if place == 0 and left:
            claims.append(
                Claim(joined([f"{n.item.ref}, continued: {_leading(left, _CONTINUED_WORDS)[0]}"]), (n.number,))
            )
    return NoteSection("similar", tuple(claims)) if claims else None


def documentation(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Name each article with its most fitting sentences; evidence of any other kind is quoted the same way."""
    wanted = _subject(ticket, evidence)
    claims = []
    for n in evidence:
        if n.item.source not in {"ticket", "asset"}:
            quote = joined(best_sentences(n.item.text, wanted, words=_ARTICLE_WORDS))
            claims.append(Claim(f"{n.name}: {quote}" if quote else n.name, (n.number,)))
    return NoteSection("documentation", tuple(claims)) if claims else None


def systems(evidence: Sequence[Numbered]) -> NoteSection | None:
    """State the facts of each asset."""
    assets = [n for n in evidence if n.item.source == "asset"]
    claims = [Claim(_facts(n.item, _limit(_SYSTEM_WORDS, place)), (n.number,)) for place, n in enumerate(assets)]
    return NoteSection("systems", tuple(claims)) if claims else None


def next_steps(ticket: str, evidence: Sequence[Numbered]) -> NoteSection | None:
    """Name the past causes to check first, then quote the most fitting procedure of the articles."""
    claims = [_cause(n) for n in _likely_causes(terms(ticket), _solved(evidence))]
    claims += _procedure(_subject(ticket, evidence), evidence)
    return NoteSection("next_steps", tuple(claims)) if claims else None


def sentences(text: str) -> list[str]:
    """Return a text's sentences fit to quote: without who did it, and without brackets that read as a citation.

    A past technician's *We restarted the service* must not read as this note's own word.
    """
    return [_BRACKETED.sub(r"(\1)", _impersonal(sentence)) for sentence in split(text)]


def best_sentences(text: str, wanted: frozenset[str], *, words: int) -> list[str]:
    """Return the sentences of a text that share most with ``wanted``, at most ``words`` words, in their order."""
    found = sentences(text)
    fitting = [i for i, sentence in enumerate(found) if _quotable(sentence) and terms(sentence) & wanted]
    order = sorted(fitting, key=lambda i: (-_fit(found[i], wanted), i)) or list(range(len(found)))[:1]
    chosen: list[int] = []
    left = words
    for index in order:
        length = len(found[index].split())
        if length <= left:
            chosen.append(index)
            left -= length
    if not chosen and found:
        return [shortened(found[order[0]], words)]
    return [found[i] for i in sorted(chosen)]


def leading(text: str, *, words: int) -> str:
    """Return a text's first sentences within ``words`` words: people write the cause first, then what they did."""
    return _leading(sentences(text), words)[0]


def _leading(said: Sequence[str], words: int, *, cut: bool = True) -> tuple[str, Sequence[str]]:
    """Return the first sentences as one line, and those left; the first of all is cut rather than left out."""
    kept: list[str] = []
    left = words
    for index, sentence in enumerate(said):
        length = len(sentence.split())
        if length > left:
            if not kept or (cut and left >= _CUT_FROM):
                kept.append(shortened(sentence, left))
                return joined(kept), said[index + 1 :]
            return joined(kept), said[index:]
        kept.append(sentence)
        left -= length
    return joined(kept), ()


def _fit(sentence: str, wanted: frozenset[str]) -> float:
    """Shared words weigh most; among sentences without any, the one that says more wins."""
    said = terms(sentence)
    return len(said & wanted) / math.sqrt(1 + len(said)) + min(len(said), 12) / 100


def _subject(ticket: str, evidence: Sequence[Numbered]) -> frozenset[str]:
    """Return the words of the ticket and, because requesters lack the technical ones, of the closest past ticket."""
    closest = next((n.item for n in evidence if n.item.source == "ticket"), None)
    known = f"{closest.title}\n{closest.text}\n{closest.resolution or ''}" if closest else ""
    return terms(f"{ticket}\n{known}")


def _impersonal(sentence: str) -> str:
    rest = _WHO.sub("", sentence)
    return rest[:1].upper() + rest[1:] if rest != sentence else sentence


def _without_title(item: Evidence) -> str:
    return item.text.removeprefix(item.title).strip()


def _about_article(wanted: frozenset[str], evidence: Sequence[Numbered]) -> NoteSection | None:
    article = next((n for n in evidence if n.item.source == "article"), None)
    if article is None:
        return None
    quote = best_sentences(article.item.text, wanted, words=_ARTICLE_WORDS)
    return NoteSection(
        "summary", (Claim(joined([f"Closest documentation: {article.name}", *quote]), (article.number,)),)
    )


def _same_category(past: Sequence[Numbered]) -> list[Claim]:
    counted = Counter(n.item.category for n in past if n.item.category)
    category, count = counted.most_common(1)[0] if counted else (None, 0)
    if count <= 1:
        return []
    alike = tuple(n.number for n in past if n.item.category == category)
    return [Claim(f"{count} of {len(past)} similar past tickets were filed under {category}.", alike)]


def _solved(evidence: Sequence[Numbered]) -> list[Numbered]:
    return [n for n in evidence if n.item.source == "ticket" and n.item.resolution]


def _likely_causes(wanted: frozenset[str], solved: Sequence[Numbered]) -> list[Numbered]:
    """Return the closest past ticket and the next, where that is as close, of the same category or strongly alike."""
    return [
        n
        for place, n in enumerate(solved[:2])
        if place == 0
        or n.item.score >= _CLOSE * solved[0].item.score
        or (n.item.category and n.item.category == solved[0].item.category)
        or likeness(wanted, terms(f"{n.item.title}\n{n.item.text}")) >= STRONG
    ]


def _limit(limits: tuple[int, ...], place: int) -> int:
    return limits[min(place, len(limits) - 1)]


def _quotable(sentence: str) -> bool:
    """Neither the introduction of a list that is not quoted with it, nor an address that a note would not show."""
    return not sentence.endswith(":") and "://" not in sentence


def _facts(item: Evidence, words: int) -> str:
    lines = [line for line in _without_title(item).splitlines() if line.strip() and not _repeats(line, item.title)]
    facts = _BRACKETED.sub(r"(\1)", "; ".join(lines).lstrip(":;,. "))
    return joined([shortened(f"{item.title}: {facts}" if facts else item.title, words)])


def _repeats(line: str, name: str) -> bool:
    """A line such as ``Hostnames: pc-7, pc-7.example`` says nothing that the name does not."""
    values = line.partition(":")[2].casefold().split(",")
    return all(value.strip().partition(".")[0] == name.casefold() for value in values)


def _cause(n: Numbered) -> Claim:
    cause = leading(n.item.resolution or "", words=_CAUSE_WORDS)
    return Claim(f"Check whether it is the same as in {n.item.ref}: {cause}", (n.number,))


def _procedure(wanted: frozenset[str], evidence: Sequence[Numbered]) -> list[Claim]:
    """Quote the steps that fit best; a numbered list from its start, of a plain one the best."""
    offered = [(n, p) for n in evidence if n.item.source == "article" for p in procedures(n.item.text)]
    if not offered:
        return []
    article, best = max(offered, key=lambda pair: _procedure_fit(pair[1], wanted))
    items = best.items[:_MAX_STEPS]
    if not best.numbered:
        items = sorted(best.items, key=lambda item: -_fit(item.text, wanted))[:_MAX_POINTS]
    return [Claim(_step(item), (article.number,)) for item in items]


def _procedure_fit(procedure: Procedure, wanted: frozenset[str]) -> float:
    bonus = _NUMBERED_BONUS if procedure.numbered else 1.0
    return bonus * len(terms(procedure.text) & wanted) / math.sqrt(1 + len(procedure.items))


def _step(item: Item) -> str:
    text = shortened(item.text, _STEP_WORDS)
    return f"{text}\n```\n{item.command}\n```" if item.command else text
