"""How good and how fast similar tickets are found, beside the bm25s library on the same split.

    python benchmarks/retrieval.py --train A.csv --test B.csv
    python benchmarks/retrieval.py --data FILE.csv --splits 10 --seed 1
    python benchmarks/retrieval.py --scale 100000 [--data FILE.csv]

Files have the columns ``description`` and ``category``. It searches as the product does, as the application role
under row-level security, in the PostgreSQL of AIOPS_DATABASE_URL or one of its own, and deletes its tenant afterwards.
The last line printed is JSON. ``p_at_5`` is the share of the five nearest past tickets that have the query's category,
``accuracy`` a vote of the ten nearest, ``p95_ms`` a search with its tenant session. Categories take no part in ranking.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import itertools
import json
import os
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bm25s
import numpy as np
import Stemmer

from aiops_core.tickets import Ticket
from aiops_host.data.migrate import migrate
from aiops_host.data.retrieval import history
from aiops_host.data.session import Database
from aiops_host.embedded import EmbeddedPostgres

NEAREST = 10
BATCH = 500
SCALE_QUERIES = 500
Row = tuple[str, str]
"""Description and category."""


@dataclass(frozen=True)
class Figures:
    """Means over the queries of one split."""

    p_at_1: float
    p_at_5: float
    accuracy: float

    def rounded(self) -> dict[str, float]:
        """Return the figures as printed."""
        return {name: round(value, 4) for name, value in vars(self).items()}


def main() -> int:
    """Run the mode asked for and print one JSON line."""
    options = _options()
    if options.scale:
        result = asyncio.run(_scale(options.scale, options.data, options.seed))
    elif options.data:
        result = asyncio.run(_splits(_read(options.data), options.splits, options.seed))
    else:
        result = asyncio.run(_one(_read(options.train), _read(options.test)))
    print(json.dumps(result))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, metavar="CSV", help="the past tickets")
    parser.add_argument("--test", type=Path, metavar="CSV", help="the queries")
    parser.add_argument("--data", type=Path, metavar="CSV", help="tickets to split 80/20, or to imitate with --scale")
    parser.add_argument("--splits", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first split; the next ones count up")
    parser.add_argument("--scale", type=int, metavar="N", help="time searches among N synthetic tickets")
    options = parser.parse_args()
    if not (options.scale or options.data or (options.train and options.test)):
        parser.error("give --train and --test, or --data, or --scale")
    return options


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["description"], row["category"]) for row in csv.DictReader(file)]


async def _one(train: Sequence[Row], test: Sequence[Row]) -> dict[str, object]:
    async with _database() as database:
        figures, times = await _measure(database, train, test)
    return {**figures.rounded(), "p95_ms": _p95(times), "baseline": _baseline(train, test).rounded()}


async def _splits(rows: Sequence[Row], count: int, seed: int) -> dict[str, object]:
    ours: list[Figures] = []
    theirs: list[Figures] = []
    times: list[float] = []
    async with _database() as database:
        for number in range(seed, seed + count):
            train, test = _split(rows, number)
            figures, taken = await _measure(database, train, test)
            ours.append(figures)
            theirs.append(_baseline(train, test))
            times += taken
            _tell(f"seed {number}: {ours[-1].rounded()} baseline {theirs[-1].rounded()}")
    return {
        **_mean(ours).rounded(),
        "p95_ms": _p95(times),
        "baseline": _mean(theirs).rounded(),
        "worst_difference": {
            name: round(min(getattr(a, name) - getattr(b, name) for a, b in zip(ours, theirs, strict=True)), 4)
            for name in ("p_at_5", "accuracy")
        },
        "splits": count,
        "seed": seed,
    }


async def _scale(count: int, data: Path | None, seed: int) -> dict[str, object]:
    texts = _imitations(_read(data) if data else None, random.Random(seed))
    async with _database() as database, _tenant(database) as tenant_id:
        started = time.perf_counter()
        for start in range(0, count, BATCH):
            await _store(database, tenant_id, [(next(texts), "") for _ in range(min(BATCH, count - start))], start)
            if start % 20_000 == 0:
                _tell(f"{start} tickets, {time.perf_counter() - started:.0f} s")
        loaded = time.perf_counter() - started
        times = [(await _similar(database, tenant_id, next(texts)))[1] for _ in range(SCALE_QUERIES)]
    return {
        "tickets": count,
        "queries": SCALE_QUERIES,
        "p50_ms": round(1000 * float(np.percentile(times, 50)), 1),
        "p95_ms": _p95(times),
        "load_ms_per_ticket": round(1000 * loaded / count, 2),
    }


@contextlib.asynccontextmanager
async def _database() -> AsyncIterator[Database]:
    with contextlib.ExitStack() as stack:
        url = os.environ.get("AIOPS_DATABASE_URL")
        if not url:
            server = stack.enter_context(EmbeddedPostgres.start(fsync=False))
            url = server.url("aiops_app", server.password("aiops_app"))
            await migrate(server.superuser_url, [url])
        database = await Database.open({"app": url}, {"app": 2})
        try:
            yield database
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def _tenant(database: Database) -> AsyncIterator[uuid.UUID]:
    tenant_id = uuid.uuid4()
    async with database.tenant(tenant_id) as con:
        await con.execute(
            "insert into tenant (tenant_id, slug, name) values ($1, $2, 'Benchmark')", tenant_id, f"b-{tenant_id}"
        )
    try:
        yield tenant_id
    finally:
        async with database.tenant(tenant_id) as con:
            await con.execute("delete from tenant where tenant_id = $1", tenant_id, timeout=600)


async def _measure(database: Database, train: Sequence[Row], test: Sequence[Row]) -> tuple[Figures, list[float]]:
    found: list[list[str]] = []
    times: list[float] = []
    async with _tenant(database) as tenant_id:
        for start in range(0, len(train), BATCH):
            await _store(database, tenant_id, train[start : start + BATCH], start)
        for text, _ in test:
            categories, seconds = await _similar(database, tenant_id, text)
            found.append(categories)
            times.append(seconds)
    return _figures(found, [category for _, category in test]), times


async def _store(database: Database, tenant_id: uuid.UUID, rows: Sequence[Row], start: int) -> None:
    tickets = [
        Ticket(id=str(number), title="", description=text, category=category)
        for number, (text, category) in enumerate(rows, start)
    ]
    async with database.tenant(tenant_id) as con:
        await history.upsert(con, tickets, connection_id=None, source="benchmark")


async def _similar(database: Database, tenant_id: uuid.UUID, text: str) -> tuple[list[str], float]:
    started = time.perf_counter()
    async with database.tenant(tenant_id) as con:
        evidence = await history.similar(con, text, NEAREST)
    return [item.category or "" for item in evidence], time.perf_counter() - started


def _baseline(train: Sequence[Row], test: Sequence[Row]) -> Figures:
    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25()
    index.index(_tokens([text for text, _ in train], stemmer), show_progress=False)
    nearest, _ = index.retrieve(_tokens([text for text, _ in test], stemmer), k=NEAREST, show_progress=False)
    return _figures([[train[int(number)][1] for number in row] for row in nearest], [category for _, category in test])


def _tokens(texts: Sequence[str], stemmer: Stemmer.Stemmer) -> object:
    return bm25s.tokenize(list(texts), stopwords="en", stemmer=stemmer, show_progress=False)


def _figures(found: Sequence[Sequence[str]], wanted: Sequence[str]) -> Figures:
    pairs = list(zip(found, wanted, strict=True))
    return Figures(
        p_at_1=float(np.mean([categories[:1] == [category] for categories, category in pairs])),
        p_at_5=float(np.mean([list(categories[:5]).count(category) / 5 for categories, category in pairs])),
        accuracy=float(np.mean([_vote(categories) == category for categories, category in pairs])),
    )


def _vote(categories: Sequence[str]) -> str | None:
    """Return the commonest category; of several, the one met first."""
    return Counter(categories).most_common(1)[0][0] if categories else None


def _split(rows: Sequence[Row], seed: int) -> tuple[list[Row], list[Row]]:
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    cut = len(shuffled) * 4 // 5
    return shuffled[:cut], shuffled[cut:]


def _imitations(rows: Sequence[Row] | None, rng: random.Random) -> Iterator[str]:
    """Yield texts made word after word as in the file, or from an invented vocabulary with natural frequencies."""
    if rows is None:
        words = [f"{rng.choice('bdfgklmnprst')}{number:x}" for number in range(30_000)]
        weights = np.cumsum([1 / (rank + 3) for rank in range(len(words))]).tolist()
        while True:
            yield " ".join(rng.choices(words, cum_weights=weights, k=max(4, int(rng.lognormvariate(3.2, 0.6)))))
    chain: dict[str, list[str]] = {}
    for text, _ in rows:
        words = ["", *text.split(), ""]
        for word, follower in itertools.pairwise(words):
            chain.setdefault(word, []).append(follower)
    while True:
        text = [rng.choice(chain[""])]
        while text[-1]:
            text.append(rng.choice(chain[text[-1]]))
        yield " ".join(text)


def _mean(figures: Sequence[Figures]) -> Figures:
    return Figures(*np.mean([[f.p_at_1, f.p_at_5, f.accuracy] for f in figures], axis=0).tolist())


def _p95(seconds: Sequence[float]) -> float:
    return round(1000 * float(np.percentile(seconds, 95)), 1)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
