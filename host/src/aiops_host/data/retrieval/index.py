"""A BM25 index of documents in PostgreSQL tables, kept up to date document by document.

The figures behind the constants stand in ``docs/decisions/0004-similar-tickets-bm25-in-postgresql.md``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from aiops_host.data.retrieval.words import count_words

Connection: TypeAlias = Any
"""An asyncpg connection with a tenant session open on it."""

CollectionName = Literal["tickets", "articles"]

K1 = 2.0
B = 0.9
MAX_LEXEMES = 96
"""Of one query, the weightiest ones; a pasted log has hundreds."""

POSTING_BUDGET = 40_000
MIN_LEXEMES = 3
CANDIDATES = 400
"""The weightiest lexemes within the budget, but never fewer than the minimum, find candidates to be scored in full."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that shares lexemes with the query; a better one scores higher."""

    document_id: int
    score: float


@dataclass(frozen=True, slots=True)
class _Term:
    lexeme_id: int
    documents: int
    weight: float


@dataclass(frozen=True, slots=True)
class _Query:
    terms: tuple[_Term, ...]
    by_length: float
    """What one word of a document's length adds to the divisor of BM25."""


async def add(con: Connection, collection: CollectionName, texts: Sequence[str]) -> list[int]:
    """Index the texts and return their document ids, in order. Call :func:`lock` first."""
    bags = await _bags(con, [count_words(text) for text in texts])
    documents = Counter(lexeme for bag in bags for lexeme in bag)
    ids = await _count_lexemes(con, collection, documents)
    rows = [(number, ids[lexeme], n) for number, bag in enumerate(bags) for lexeme, n in bag.items()]
    document_ids = await _insert_documents(con, collection, len(texts), rows)
    lengths = [float(bag.total()) for bag in bags]
    rows.sort(key=lambda row: row[1])
    await con.execute(
        """
        insert into search_posting (lexeme_id, document_id, frequency, words)
        select * from unnest($1::int[], $2::int[], $3::real[], $4::real[])
        """,
        [lexeme_id for _, lexeme_id, _ in rows],
        [document_ids[number] for number, _, _ in rows],
        [float(n) for _, _, n in rows],
        [lengths[number] for number, _, _ in rows],
    )
    await _count_documents(con, collection, len(texts), sum(lengths))
    return document_ids


async def remove(con: Connection, collection: CollectionName, document_ids: Collection[int]) -> None:
    """Take documents out of the index. Call :func:`lock` first."""
    gone = await con.fetch(
        "delete from search_document where collection = $1 and document_id = any($2::int[]) "
        "returning document_id, words, lexeme_ids",
        collection,
        list(document_ids),
    )
    await con.execute(
        """
        delete from search_posting p using unnest($1::int[], $2::int[]) g(lexeme_id, document_id)
        where p.lexeme_id = g.lexeme_id and p.document_id = g.document_id
        """,
        [lexeme_id for row in gone for lexeme_id in row["lexeme_ids"]],
        [row["document_id"] for row in gone for _ in row["lexeme_ids"]],
    )
    fewer = Counter(lexeme_id for row in gone for lexeme_id in row["lexeme_ids"])
    await con.execute(
        """
        update search_lexeme l set documents = l.documents - g.n
        from unnest($1::int[], $2::int[]) g(lexeme_id, n) where l.lexeme_id = g.lexeme_id
        """,
        list(fewer.keys()),
        list(fewer.values()),
    )
    await con.execute("delete from search_lexeme where lexeme_id = any($1::int[]) and documents = 0", list(fewer))
    await _count_documents(con, collection, -len(gone), -sum(row["words"] for row in gone))


async def lock(con: Connection, collection: CollectionName) -> None:
    """Wait for other writers of this tenant's index and keep them waiting until the session ends.

    The one lock all of them take first, so that no two can wait for each other.
    """
    await con.execute(
        """
        insert into search_corpus as c (collection) values ($1)
        on conflict (tenant_id, collection) do update set documents = c.documents
        """,
        collection,
    )


async def search(con: Connection, collection: CollectionName, text: str, limit: int) -> list[Hit]:
    """Return the documents most like ``text``, best first; none if it shares no word with any."""
    query = await _query(con, collection, text)
    finding = _within_budget(query.terms)
    if not finding:
        return []
    pruned = len(finding) < len(query.terms)
    rows = await con.fetch(
        _CANDIDATES,
        [term.lexeme_id for term in finding],
        [term.weight for term in finding],
        query.by_length,
        max(CANDIDATES, limit) if pruned else limit,
    )
    if pruned:
        rows = await con.fetch(
            _FULL_SCORES,
            [row["document_id"] for row in rows],
            [term.lexeme_id for term in query.terms],
            [term.weight for term in query.terms],
            query.by_length,
            limit,
        )
    return [Hit(row["document_id"], row["score"]) for row in rows]


# The lateral keeps the plan to one index range per lexeme, whatever the planner believes of a tenant's share of rows.
_CANDIDATES = f"""
select p.document_id, sum(q.weight * p.frequency / (p.frequency + {K1 * (1 - B)} + $3::float8 * p.words)) as score
from unnest($1::int[], $2::float8[]) q(lexeme_id, weight)
cross join lateral (
    select document_id, frequency, words from search_posting where lexeme_id = q.lexeme_id offset 0
) p
group by p.document_id
order by score desc, p.document_id desc
limit $4
"""  # noqa: S608 - a constant

_FULL_SCORES = f"""
select d.document_id, sum(q.weight * f.frequency / (f.frequency + {K1 * (1 - B)} + $4::float8 * d.words)) as score
from search_document d
cross join lateral unnest(d.lexeme_ids, d.frequencies) f(lexeme_id, frequency)
join unnest($2::int[], $3::float8[]) q(lexeme_id, weight) on q.lexeme_id = f.lexeme_id
where d.document_id = any($1::int[])
group by d.document_id
order by score desc, d.document_id desc
limit $5
"""  # noqa: S608 - a constant


async def _query(con: Connection, collection: CollectionName, text: str) -> _Query:
    bag = (await _bags(con, [count_words(text)]))[0]
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
        return _Query((), 0.0)
    terms = [
        _Term(r["lexeme_id"], r["documents"], _weight(bag[r["lexeme"]], r["documents"], r["of_documents"]))
        for r in rows
    ]
    terms.sort(key=lambda term: (-term.weight, term.lexeme_id))
    return _Query(tuple(terms[:MAX_LEXEMES]), K1 * B / rows[0]["mean_words"])


def _weight(frequency: int, documents: int, of_documents: int) -> float:
    return math.log1p(frequency) * math.log1p((of_documents - documents + 0.5) / (documents + 0.5))


def _within_budget(terms: Sequence[_Term]) -> list[_Term]:
    chosen: list[_Term] = []
    postings = 0
    for term in terms:
        if len(chosen) >= MIN_LEXEMES and postings + term.documents > POSTING_BUDGET:
            continue
        chosen.append(term)
        postings += term.documents
    return chosen


async def _bags(con: Connection, texts: Sequence[Counter[str]]) -> list[Counter[str]]:
    """Turn counted words into counted lexemes; stop words vanish.

    English first, then German on what is left: words of either language meet their own inflections, so that a tenant
    who writes both needs no setting. On English text this measures the same as English alone.
    """
    stems = await _stems(con, {word for counts in texts for word in counts})
    bags = []
    for counts in texts:
        bag: Counter[str] = Counter()
        for word, n in counts.items():
            if word in stems:
                bag[stems[word]] += n
        bags.append(bag)
    return bags


async def _stems(con: Connection, words: Iterable[str]) -> dict[str, str]:
    rows = await con.fetch(
        """
        select w.word, s.lexeme from unnest($1::text[]) w(word)
        cross join lateral (
            select (pg_catalog.ts_lexize('pg_catalog.german_stem',
                    (pg_catalog.ts_lexize('pg_catalog.english_stem', w.word))[1]))[1] as lexeme
        ) s
        where s.lexeme is not null
        """,
        list(words),
    )
    return dict(rows)


async def _count_lexemes(con: Connection, collection: CollectionName, documents: Counter[str]) -> dict[str, int]:
    """Add to the number of documents of each lexeme and return the lexemes' ids."""
    known = await con.fetch(
        """
        update search_lexeme l set documents = l.documents + n.documents
        from unnest($2::text[], $3::int[]) n(lexeme, documents)
        where l.collection = $1 and l.lexeme = n.lexeme
        returning l.lexeme, l.lexeme_id
        """,
        collection,
        list(documents.keys()),
        list(documents.values()),
    )
    ids: dict[str, int] = dict(known)
    new = [lexeme for lexeme in documents if lexeme not in ids]
    ids.update(
        await con.fetch(
            """
            insert into search_lexeme (collection, lexeme, documents)
            select $1, * from unnest($2::text[], $3::int[]) returning lexeme, lexeme_id
            """,
            collection,
            new,
            [documents[lexeme] for lexeme in new],
        )
    )
    return ids


async def _insert_documents(
    con: Connection, collection: CollectionName, count: int, rows: Sequence[tuple[int, int, int]]
) -> list[int]:
    """Insert ``count`` documents from rows of (number of the document, lexeme, frequency); ids rise with the number."""
    inserted = await con.fetch(
        """
        insert into search_document (collection, words, lexeme_ids, frequencies)
        select $1, coalesce(sum(f.frequency), 0),
               coalesce(array_agg(f.lexeme_id) filter (where f.lexeme_id is not null), '{}'),
               coalesce(array_agg(f.frequency) filter (where f.lexeme_id is not null), '{}')
        from generate_series(0, $2::int - 1) d(number)
        left join unnest($3::int[], $4::int[], $5::real[]) f(number, lexeme_id, frequency) on f.number = d.number
        group by d.number order by d.number
        returning document_id
        """,
        collection,
        count,
        [number for number, _, _ in rows],
        [lexeme_id for _, lexeme_id, _ in rows],
        [float(n) for _, _, n in rows],
    )
    return sorted(row["document_id"] for row in inserted)


async def _count_documents(con: Connection, collection: CollectionName, documents: int, words: float) -> None:
    await con.execute(
        "update search_corpus set documents = documents + $2, words = words + $3 where collection = $1",
        collection,
        documents,
        words,
    )
