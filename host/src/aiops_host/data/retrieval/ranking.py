"""Finding the documents most like a text: BM25 by words, then the best of them ordered by concepts as well.

The figures behind the constants stand in ``docs/decisions/0004-similar-tickets-bm25-in-postgresql.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aiops_host.data.retrieval.concepts import Floats, Ints, Said, cosines
from aiops_host.data.retrieval.lexemes import CollectionName, Connection, bags_of, function_lexemes

K1 = 3.0
B = 0.9
MAX_LEXEMES = 96
"""Of one query, the weightiest ones; a pasted log has hundreds."""

POSTING_BUDGET = 30_000
MIN_LEXEMES = 3
CANDIDATES = 400
"""The weightiest lexemes within the budget, but never fewer than the minimum, find candidates to be scored in full."""

ORDERED_BY_CONCEPTS = 30
CONCEPT_WEIGHT = 1.5
ARRAY_HEAD = 5


@dataclass(frozen=True, slots=True)
class Hit:
    """A document like the query.

    ``score`` is between 0 and 1: the weighted share of the query's words it has, less where it speaks of other things.
    """

    document_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Term:
    """A lexeme of the query that some document has."""

    lexeme_id: int
    documents: int
    weight: float


@dataclass(frozen=True, slots=True)
class _Query:
    bag: Mapping[int, float]
    terms: tuple[Term, ...] = ()
    total_weight: float = 0.0
    by_length: float = 0.0
    """What one word of a document's length adds to the divisor of BM25."""


async def search(con: Connection, collection: CollectionName, text: str, limit: int) -> list[Hit]:
    """Return the documents most like ``text``, best first; none if it shares no word with any."""
    query = await _query(con, collection, text)
    if not query.terms:
        return []
    found = await _by_words(con, query, max(limit, ORDERED_BY_CONCEPTS))
    factors = await _by_concepts(con, query, found[:ORDERED_BY_CONCEPTS])
    lowest = min(factors.values(), default=1.0)
    hits = [
        Hit(row["document_id"], row["score"] / query.total_weight * factors.get(row["document_id"], lowest))
        for row in found
    ]
    return sorted(hits, key=lambda hit: (-hit.score, -hit.document_id))[:limit]


async def _query(con: Connection, collection: CollectionName, text: str) -> _Query:
    bag = (await bags_of(con, [text]))[0]
    joining = await function_lexemes(con)
    asked = {lexeme: n for lexeme, n in bag.items() if lexeme not in joining}
    rows = await con.fetch(
        """
        select l.lexeme, l.lexeme_id, l.documents, c.documents as of_documents, c.words / c.documents as mean_words
        from search_corpus c
        join search_lexeme l on l.collection = c.collection
        where c.collection = $1 and l.lexeme = any($2::text[])
        """,
        collection,
        list(bag),
    )
    if not rows:
        return _Query({})
    ids = {row["lexeme"]: row["lexeme_id"] for row in rows}
    spread = {row["lexeme"]: row["documents"] for row in rows}
    weights = {lexeme: _weight(n, spread.get(lexeme, 0), rows[0]["of_documents"]) for lexeme, n in asked.items()}
    terms = [Term(row["lexeme_id"], row["documents"], weights[row["lexeme"]]) for row in rows if row["lexeme"] in asked]
    terms.sort(key=lambda term: (-term.weight, term.lexeme_id))
    return _Query(
        bag={ids[lexeme]: n for lexeme, n in bag.items() if lexeme in ids},
        terms=tuple(terms[:MAX_LEXEMES]),
        total_weight=sum(sorted(weights.values(), reverse=True)[:MAX_LEXEMES]),
        by_length=K1 * B / rows[0]["mean_words"],
    )


def _weight(frequency: int, documents: int, of_documents: int) -> float:
    return math.log1p(frequency) * math.log1p((of_documents - documents + 0.5) / (documents + 0.5))


async def _by_words(con: Connection, query: _Query, limit: int) -> list[Any]:
    """Return documents with their lexemes and BM25 scores, best first."""
    finding = within_budget(query.terms)
    candidates = [[t.lexeme_id for t in finding], [t.weight for t in finding], query.by_length]
    if len(finding) == len(query.terms):
        rows = await con.fetch(ALL_READ, *candidates, limit)
    else:
        every = [[t.lexeme_id for t in query.terms], [t.weight for t in query.terms]]
        rows = await con.fetch(PRUNED, *candidates, max(CANDIDATES, limit), *every, limit)
    return list(rows)


def within_budget(terms: Sequence[Term]) -> list[Term]:
    """Return the terms, weightiest first, whose postings may be read."""
    chosen: list[Term] = []
    postings = 0
    for term in terms:
        if len(chosen) < MIN_LEXEMES or postings + term.documents <= POSTING_BUDGET:
            chosen.append(term)
            postings += term.documents
    return chosen


# The lateral keeps the plan to one index range per lexeme, whatever the planner believes of a tenant's share of rows.
_CANDIDATE = f"""
    select p.document_id, sum(q.weight * p.frequency / (p.frequency + {K1 * (1 - B)} + $3::float8 * p.words)) as score
    from unnest($1::int[], $2::float8[]) q(lexeme_id, weight)
    cross join lateral (
        select document_id, frequency, words from search_posting where lexeme_id = q.lexeme_id offset 0
    ) p
    group by p.document_id
    order by score desc, p.document_id desc
    limit $4
"""  # noqa: S608 - constants of this module

ALL_READ = f"""
with hit as ({_CANDIDATE})
select hit.document_id, hit.score, array_send(d.lexeme_ids) as lexeme_ids, array_send(d.frequencies) as frequencies
from hit join search_document d on d.document_id = hit.document_id
order by hit.score desc, hit.document_id desc
"""  # noqa: S608 - constants of this module

PRUNED = f"""
with candidate as ({_CANDIDATE}), hit as (
    select d.document_id, sum(q.weight * f.frequency / (f.frequency + {K1 * (1 - B)} + $3::float8 * d.words)) as score
    from candidate c
    join search_document d on d.document_id = c.document_id
    cross join lateral unnest(d.lexeme_ids, d.frequencies) f(lexeme_id, frequency)
    join unnest($5::int[], $6::float8[]) q(lexeme_id, weight) on q.lexeme_id = f.lexeme_id
    group by d.document_id
    order by score desc, d.document_id desc
    limit $7
)
select hit.document_id, hit.score, array_send(d.lexeme_ids) as lexeme_ids, array_send(d.frequencies) as frequencies
from hit join search_document d on d.document_id = hit.document_id
order by hit.score desc, hit.document_id desc
"""  # noqa: S608 - constants of this module


async def _by_concepts(con: Connection, query: _Query, documents: Sequence[Any]) -> dict[int, float]:
    """Return a factor of 1 for a document that points the query's way, and less the further it points away."""
    asked = Said(np.fromiter(query.bag, np.int32), np.fromiter(query.bag.values(), np.float32))
    texts = [asked, *(Said(_ints(row["lexeme_ids"]), _floats(row["frequencies"])) for row in documents)]
    lexemes, vectors = await _vectors(con, np.unique(np.concatenate([text.lexemes for text in texts])))
    if not np.isin(asked.lexemes, lexemes).any():
        return {}
    return {
        document["document_id"]: math.exp(CONCEPT_WEIGHT * (cosine - 1))
        for document, cosine in zip(documents, cosines(texts, lexemes, vectors), strict=True)
    }


async def _vectors(con: Connection, lexeme_ids: Ints) -> tuple[Ints, Floats]:
    """Return those of the lexemes, ascending, that something was learnt of, and a row for each."""
    row = await con.fetchrow(
        "select array_send(array_agg(lexeme_id)) as lexeme_ids, string_agg(sent, '') as sent from ("
        "select lexeme_id, array_send(vector) as sent from search_concept where lexeme_id = any($1::int[]) "
        "order by lexeme_id) learnt",
        lexeme_ids.tolist(),
    )
    if row["sent"] is None:
        return np.zeros(0, np.int32), np.zeros((0, 0), np.float32)
    lexemes = _ints(row["lexeme_ids"])
    sent = np.frombuffer(row["sent"], ">f4").reshape(len(lexemes), -1)
    return lexemes, sent[:, ARRAY_HEAD + 1 :: 2].astype(np.float32)


# PostgreSQL's own form of an array: a head of five numbers, then each value after its length. asyncpg would make a
# Python object of each value: more than ten thousand in every search.
def _ints(sent: bytes) -> Ints:
    return np.frombuffer(sent, ">i4")[ARRAY_HEAD + 1 :: 2].astype(np.int32)


def _floats(sent: bytes) -> Floats:
    return np.frombuffer(sent, ">f4")[ARRAY_HEAD + 1 :: 2].astype(np.float32)
