"""How well a found item fits the ticket: the words they share, weighed by how rare each is among what was found.

The tools' own scores order items by the words of the request; they do not see how a past ticket was resolved, and
they always have a best item, even for a ticket unlike any other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiops_agents.words import terms
from aiops_core import Evidence

OF_THE_BEST = 0.5
"""An item that fits less than this share of the best does not belong beside it."""

MIN_SHARED = 4
"""Words a past ticket must share with an ordinary ticket. A shorter ticket asks for a quarter of its words, and
one of more than ``LONG`` words, such as one with a pasted log, for one more per 20: long texts meet by chance."""

MIN_ASKED = 3
LONG = 60
MIN_KIN = 1.5
"""What words shared with the closest past ticket, counted half, must add for every further one."""

MIN_SHARED_ARTICLE = 3
MIN_KIN_ARTICLE = 7.5
"""An article not clearly about the ticket must share this much with it, with the closest past ticket counted half."""

NAMES = 2
"""Words of its title by which a ticket names an article."""

TRUST = 0.5
"""Power of the tool's own score: it knows how rare a word is in all records, but saw the request's words only."""

OF_A_FIX = 0.5
"""Weight of a word that only the fix shares: what people asked is the likeness, and a fix may be corrected later."""

_EMPHASIS = 1.5
"""Words of the title, hostnames, addresses and error numbers say more than other words."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """An item and how well it fits; ``fit`` compares items of one source in one run."""

    item: Evidence
    fit: float


@dataclass(frozen=True, slots=True)
class _Read:
    item: Evidence
    words: frozenset[str]
    shared: frozenset[str]
    asked: int
    """How many words the requests alone share: what stays when a fix turns out to be another one."""

    fit: float

    def reaches(self, needed: int) -> bool:
        """Return whether enough is shared, by the request alone one word less."""
        return len(self.shared) >= needed or self.asked >= max(needed - 1, min(needed, MIN_ASKED))


def nearest_tickets(ticket: str, found: Sequence[Evidence]) -> list[Fitting]:
    """Return the found past tickets that share anything with the ticket, best first."""
    return [Fitting(r.item, r.fit) for r in _read(found, ticket) if r.fit]


def alike_tickets(ticket: str, found: Sequence[Evidence]) -> list[Fitting]:
    """Return the past tickets that are like the ticket, best first: the closest, and those like both."""
    wanted = terms(ticket)
    needed = _needed(wanted)
    read = [r for r in _read(found, ticket) if r.reaches(needed)]
    closest = read[0].words - wanted if read else frozenset()
    return [
        Fitting(r.item, r.fit)
        for place, r in enumerate(read)
        if place == 0
        or (r.fit >= OF_THE_BEST * read[0].fit and len(r.shared) + len(r.words & closest) / 2 >= needed + MIN_KIN)
    ]


def alike_articles(ticket: str, found: Sequence[Evidence], closest: Evidence | None) -> list[Fitting]:
    """Return the articles about the ticket, or about the closest past ticket: a requester lacks an article's words.

    One whose title names what the ticket is about stays, however short it is and whatever fits better.
    """
    wanted, said = terms(ticket), _singular(terms(ticket.partition("\n")[0]))
    needed = _needed(wanted)
    known = _words_of(closest) - wanted if closest else frozenset()
    fitting, named = [], set()
    for r in _read(found, ticket):
        own, kin = len(r.shared), len(r.words & known) / 2
        if _named(_singular(terms(r.item.title)), said, _singular(wanted)):
            named.add(r.item.ref)
        if r.item.ref in named or own > needed or (own >= MIN_SHARED_ARTICLE and own + kin >= MIN_KIN_ARTICLE):
            fitting.append(Fitting(r.item, own + kin))
    fitting.sort(key=lambda f: -f.fit)
    return [f for f in fitting if f.item.ref in named or f.fit >= OF_THE_BEST * fitting[0].fit]


def named_most(assets: Sequence[Evidence], others: Iterable[Evidence]) -> list[Fitting]:
    """Order assets by how many of the other items name them too: a log names many that have no part in the trouble."""
    texts = [f"{item.title}\n{item.text}\n{item.resolution or ''}".casefold() for item in others]
    fitting = [Fitting(asset, 1.0 + sum(asset.ref.casefold() in text for text in texts)) for asset in assets]
    return sorted(fitting, key=lambda f: -f.fit)


def _read(found: Iterable[Evidence], ticket: str) -> list[_Read]:
    wanted, title = terms(ticket), terms(ticket.partition("\n")[0])
    words = {item.ref: (item, _words_of(item)) for item in found}
    weights = _weights([said & wanted for _, said in words.values()], title)
    best = max((item.score for item, _ in words.values()), default=0.0)
    read = []
    for item, said in words.values():
        trust = (max(item.score, 0.0) / best) ** TRUST if best > 0 else 1.0
        asked = terms(f"{item.title}\n{item.text}") & wanted
        told = sum(weights[term] * (1.0 if term in asked else OF_A_FIX) for term in said & wanted)
        read.append(_Read(item, said, said & wanted, len(asked), trust * told))
    return sorted(read, key=lambda r: (-r.fit, r.item.ref))


def _weights(shared: Sequence[frozenset[str]], title: frozenset[str]) -> dict[str, float]:
    """Return a word's weight: 1 for one that a single item shares, falling with the number of those that do."""
    counted = Counter(term for words in shared for term in words)
    top = math.log1p(len(shared)) or 1.0
    weights = {term: math.log1p(len(shared) / count) / top for term, count in counted.items()}
    for term in weights:
        if term in title or any(c.isdigit() for c in term):
            weights[term] *= _EMPHASIS
    return weights


def _needed(wanted: frozenset[str]) -> int:
    ordinary = min(max(math.ceil(len(wanted) / 4), 1), MIN_SHARED)
    return ordinary + max(len(wanted) - LONG, 0) // 20


def _named(title: frozenset[str], said: frozenset[str], wanted: frozenset[str]) -> bool:
    """Return whether an article's title stands in the ticket: two words of it, or its only one, in the ticket's title.

    Elsewhere in the ticket it must stand whole: a long description has two words of many titles.
    """
    return bool(title) and (len(title & said) >= min(len(title), NAMES) or (len(title) >= NAMES and title <= wanted))


def _singular(words: frozenset[str]) -> frozenset[str]:
    """Return the words alike in number: a short one, such as *jams*, keeps its ending as a stem."""
    return frozenset(word.removesuffix("s") for word in words)


def _words_of(item: Evidence) -> frozenset[str]:
    return terms(f"{item.title}\n{item.text}\n{item.resolution or ''}")
