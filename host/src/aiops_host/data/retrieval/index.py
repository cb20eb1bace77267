"""Keeping a BM25 index in PostgreSQL tables up to date, document by document."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence

from aiops_host.data.retrieval import concepts
from aiops_host.data.retrieval.lexemes import Bag, CollectionName, Connection, bags_of

SAMPLE = 1_500
"""Newest documents that concepts are learnt from; 1,000 measured the same as all."""

FEWEST = 100
GROWTH = 1.25
"""Concepts are learnt anew when the index has grown by this factor."""


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


async def add(con: Connection, collection: CollectionName, texts: Sequence[str]) -> list[int]:
    """Index the texts and return their document ids, in order. Call :func:`lock` first."""
    bags = await bags_of(con, texts)
    ids = await _count_lexemes(con, collection, Counter(lexeme for bag in bags for lexeme in bag))
    rows = [(number, ids[lexeme], n) for number, bag in enumerate(bags) for lexeme, n in bag.items()]
    document_ids = await _insert_documents(con, collection, len(texts), rows)
    await _insert_postings(con, document_ids, bags, rows)
    await _count_documents(con, collection, len(texts), sum(bag.total() for bag in bags))
    return document_ids


async def remove(con: Connection, collection: CollectionName, document_ids: Collection[int]) -> None:
    """Take documents, and what refers to them, out of the index. Call :func:`lock` first."""
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


async def learn_if_grown(con: Connection, collection: CollectionName) -> bool:
    """Learn the concepts anew from the newest documents if the index has grown enough since; tell whether it did.

    Call :func:`lock` first. Takes about a second of a thread, however large the index.
    """
    corpus = await con.fetchrow("select documents, concepts_at from search_corpus where collection = $1", collection)
    if corpus["documents"] < max(FEWEST, GROWTH * corpus["concepts_at"]):
        return False
    vectors = await asyncio.to_thread(concepts.learn, await _newest(con, collection))
    await con.execute(
        "delete from search_concept v using search_lexeme l where l.collection = $1 and v.lexeme_id = l.lexeme_id",
        collection,
    )
    await con.executemany(
        "insert into search_concept (lexeme_id, vector) "
        "select lexeme_id, $3 from search_lexeme where collection = $1 and lexeme = $2",
        [(collection, lexeme, vector) for lexeme, vector in vectors.items()],
    )
    await con.execute("update search_corpus set concepts_at = documents where collection = $1", collection)
    return True


async def _newest(con: Connection, collection: CollectionName) -> list[dict[str, float]]:
    rows = await con.fetch(
        "select lexeme_ids, frequencies from search_document where collection = $1 order by document_id desc limit $2",
        collection,
        SAMPLE,
    )
    names = dict(
        await con.fetch(
            "select lexeme_id, lexeme from search_lexeme where lexeme_id = any($1::int[])",
            list({lexeme_id for row in rows for lexeme_id in row["lexeme_ids"]}),
        )
    )
    return [{names[i]: n for i, n in zip(row["lexeme_ids"], row["frequencies"], strict=True)} for row in rows]


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
    """Insert ``count`` documents from rows of (number of the document, lexeme, frequency) in the order of their texts.

    Ids rise with the number.
    """
    inserted = await con.fetch(
        """
        insert into search_document (collection, words, lexeme_ids, frequencies)
        select $1, coalesce(sum(f.frequency), 0),
               coalesce(array_agg(f.lexeme_id order by f.place) filter (where f.place is not null), '{}'),
               coalesce(array_agg(f.frequency order by f.place) filter (where f.place is not null), '{}')
        from generate_series(0, $2::int - 1) d(number)
        left join unnest($3::int[], $4::int[], $5::real[]) with ordinality f(number, lexeme_id, frequency, place)
            on f.number = d.number
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


async def _insert_postings(
    con: Connection, document_ids: Sequence[int], bags: Sequence[Bag], rows: Sequence[tuple[int, int, int]]
) -> None:
    lengths = [float(bag.total()) for bag in bags]
    in_key_order = sorted(rows, key=lambda row: row[1])
    await con.execute(
        """
        insert into search_posting (lexeme_id, document_id, frequency, words)
        select * from unnest($1::int[], $2::int[], $3::real[], $4::real[])
        """,
        [lexeme_id for _, lexeme_id, _ in in_key_order],
        [document_ids[number] for number, _, _ in in_key_order],
        [float(n) for _, _, n in in_key_order],
        [lengths[number] for number, _, _ in in_key_order],
    )


async def _count_documents(con: Connection, collection: CollectionName, documents: int, words: float) -> None:
    await con.execute(
        "update search_corpus set documents = documents + $2, words = words + $3 where collection = $1",
        collection,
        documents,
        words,
    )
