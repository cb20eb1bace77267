"""The tenant's knowledge articles, found and quoted by the passage that fits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from aiops_core.tickets import Evidence
from aiops_host.data.retrieval import index, ranking
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.retrieval.lexemes import Connection
from aiops_host.data.retrieval.passages import PASSAGE_CHARS, cut
from aiops_host.data.retrieval.words import clean

MAX_BODY = 200_000
MAX_FIELD = 500
MAX_URL = 2_000
PASSAGES_PER_ARTICLE = 8
"""Passages looked at for each article asked for: one article may hold the best several."""


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """A knowledge article. ``slug`` (a path, a number) names it; ``body`` is plain text or Markdown."""

    slug: str
    title: str
    body: str
    url: str | None = None
    tags: tuple[str, ...] = ()
    updated_at: datetime | None = None


async def upsert(con: Connection, articles: Sequence[Article]) -> UpsertCount:
    """Store and index the articles; one of a known slug is brought up to date. The last of several with one slug counts.

    Other writers of this tenant's articles wait until the session ends: give it a few dozen at most.
    """
    rows = {row["slug"]: row for row in map(_row, articles)}
    await index.lock(con, "articles")
    stored = dict(await con.fetch("select slug, digest from article where slug = any($1::text[])", list(rows)))
    new = [slug for slug in rows if slug not in stored]
    changed = [slug for slug, digest in stored.items() if rows[slug]["digest"] != digest]
    await _remove_passages(con, changed)
    await con.executemany(
        """
        insert into article (slug, title, body, url, tags, updated_at, digest) values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (tenant_id, slug) do update set title = excluded.title, body = excluded.body, url = excluded.url,
            tags = excluded.tags, updated_at = excluded.updated_at, digest = excluded.digest
        """,
        [tuple(rows[slug].values()) for slug in new + changed],
    )
    await _add_passages(con, [rows[slug] for slug in new + changed])
    return UpsertCount(added=len(new), changed=len(changed), unchanged=len(rows) - len(new) - len(changed))


async def search(con: Connection, text: str, limit: int = 5) -> list[Evidence]:
    """Return the articles most about ``text``, best first; each text is the article's passage that fits best.

    A second passage is quoted too where both together stay within the length of one.
    """
    hits = await ranking.search(con, "articles", text, limit * PASSAGES_PER_ARTICLE)
    if not hits:
        return []
    scores = {hit.document_id: hit.score for hit in hits}
    rows = await con.fetch(
        "select p.document_id, p.ordinal, p.body as passage, a.slug, a.title, a.url, a.updated_at "
        "from article_passage p join article a on a.slug = p.slug where p.document_id = any($1::int[])",
        list(scores),
    )
    found: dict[str, list[Any]] = {}
    for row in sorted(rows, key=lambda row: (-scores[row["document_id"]], row["document_id"])):
        found.setdefault(row["slug"], []).append(row)
    return [_evidence(passages, scores[passages[0]["document_id"]]) for passages in list(found.values())[:limit]]


async def delete(con: Connection, slugs: Iterable[str]) -> int:
    """Forget articles and return how many there were."""
    await index.lock(con, "articles")
    known = [
        row["slug"] for row in await con.fetch("select slug from article where slug = any($1::text[])", list(slugs))
    ]
    await _remove_passages(con, known)
    await con.execute("delete from article where slug = any($1::text[])", known)
    return len(known)


def _row(article: Article) -> dict[str, Any]:
    row = {
        "slug": clean(article.slug, MAX_FIELD),
        "title": clean(article.title, MAX_FIELD),
        "body": clean(article.body, MAX_BODY),
        "url": clean(article.url, MAX_URL) if article.url else None,
        "tags": [clean(tag, MAX_FIELD) for tag in article.tags],
        "updated_at": article.updated_at,
    }
    return {**row, "digest": hashlib.sha256(msgspec.json.encode(row)).digest()}


async def _add_passages(con: Connection, rows: Sequence[dict[str, Any]]) -> None:
    passages = [(row, ordinal, text) for row in rows for ordinal, text in enumerate(cut(row["body"]) or [""])]
    if not passages:
        return
    # The title and tags belong to every passage: a passage alone often does not name what it is about.
    texts = [f"{row['title']}\n{' '.join(row['tags'])}\n{text}" for row, _, text in passages]
    document_ids = await index.add(con, "articles", texts)
    await con.executemany(
        "insert into article_passage (document_id, slug, ordinal, body) values ($1, $2, $3, $4)",
        [
            (document_id, row["slug"], ordinal, text)
            for document_id, (row, ordinal, text) in zip(document_ids, passages, strict=True)
        ],
    )


async def _remove_passages(con: Connection, slugs: Sequence[str]) -> None:
    rows = await con.fetch("select document_id from article_passage where slug = any($1::text[])", slugs)
    await index.remove(con, "articles", [row["document_id"] for row in rows])


def _evidence(passages: Sequence[Any], score: float) -> Evidence:
    best = passages[0]
    quoted = [best]
    for passage in passages[1:]:
        if sum(len(row["passage"]) + 2 for row in quoted) + len(passage["passage"]) <= PASSAGE_CHARS:
            quoted.append(passage)
    quoted.sort(key=lambda row: row["ordinal"])
    return Evidence(
        source="article",
        ref=best["slug"],
        title=best["title"],
        text="\n\n".join(row["passage"] for row in quoted),
        url=best["url"],
        time=best["updated_at"],
        score=score,
    )
