"""From the words of a text to its lexemes, by PostgreSQL's own stemmers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal, TypeAlias

from aiops_host.data.retrieval.words import FUNCTION_WORDS, count_words

Connection: TypeAlias = Any
"""An asyncpg connection with a tenant session open on it."""

CollectionName = Literal["tickets", "articles"]

Bag: TypeAlias = Counter[str]
"""How often each lexeme occurs in a text."""

MOST_KNOWN = 100_000
_known: dict[str, str] = {}
_stemmed: dict[str, frozenset[str]] = {}


async def bags_of(con: Connection, texts: Sequence[str]) -> list[Bag]:
    """Return the lexemes of each text.

    English stems first, then German on what is left: words of either language meet their own inflections, so that a
    tenant who writes both needs no setting. Stop words stay: the company they keep helps the concepts.
    """
    counted = [count_words(text) for text in texts]
    stems = await _stems(con, {word for counts in counted for word in counts})
    bags = []
    for counts in counted:
        bag: Bag = Counter()
        for word, n in counts.items():
            bag[stems[word]] += n
        bags.append(bag)
    return bags


async def function_lexemes(con: Connection) -> frozenset[str]:
    """Return the lexemes of the function words; the stemmers are asked once in a process's life."""
    if FUNCTION_WORDS not in _stemmed:
        _stemmed[FUNCTION_WORDS] = frozenset((await bags_of(con, [FUNCTION_WORDS]))[0])
    return _stemmed[FUNCTION_WORDS]


async def _stems(con: Connection, words: Set[str]) -> Mapping[str, str]:
    """Return the stem of each word; those met before are remembered: a search asks for few that are new."""
    stems = {word: _known[word] for word in words if word in _known}
    if len(stems) < len(words):
        new = await _asked(con, sorted(words - stems.keys()))
        if len(_known) + len(new) > MOST_KNOWN:
            _known.clear()
        _known.update(new)
        stems |= new
    return stems


async def _asked(con: Connection, words: Sequence[str]) -> dict[str, str]:
    rows = await con.fetch(
        """
        select w.word, coalesce((pg_catalog.ts_lexize('pg_catalog.german_stem', e.stem))[1], e.stem)
        from unnest($1::text[]) w(word)
        cross join lateral (
            select coalesce((pg_catalog.ts_lexize('pg_catalog.english_stem', w.word))[1], w.word) as stem
        ) e
        """,
        words,
    )
    return dict(rows)
