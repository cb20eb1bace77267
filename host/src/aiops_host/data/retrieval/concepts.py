"""What lexemes are about, learnt from which of them occur together in the tenant's own documents.

Latent semantic analysis: two texts that share few words but speak of the same things point the same way. It orders
the best hits of the word search, and knows nothing of categories. Pure; the figures stand in the decision record.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import mul
from typing import TypeAlias

DIMENSIONS = 32
ROUNDS = 3
NEGLIGIBLE = 1e-9
MIN_DOCUMENTS = 3
"""A lexeme of fewer documents has no company to be known by."""

MAX_VOCABULARY = 2_000
MAX_LEXEMES = 60
"""Of one document: what it begins with says what it is about, and a pasted log has hundreds."""

Vector: TypeAlias = Sequence[float]
_Row: TypeAlias = list[tuple[int, float]]


def learn(documents: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return a vector for each lexeme that several documents share; the same documents give the same vectors.

    Args:
        documents: The frequency of each lexeme in each document, in the order of the text.
    """
    spread = Counter(lexeme for document in documents for lexeme in document)
    commonest = sorted(spread, key=lambda lexeme: (-spread[lexeme], lexeme))[:MAX_VOCABULARY]
    vocabulary = {lexeme: n for n, lexeme in enumerate(commonest) if spread[lexeme] >= MIN_DOCUMENTS}
    rarity = {
        lexeme: math.log1p((len(documents) - spread[lexeme] + 0.5) / (spread[lexeme] + 0.5)) for lexeme in vocabulary
    }
    rows = [_row(document, vocabulary, rarity) for document in documents]
    noise = random.Random(0)  # noqa: S311 - a starting point, not a secret
    basis = [[noise.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in vocabulary]
    strengths: list[float] = []
    for _ in range(ROUNDS):
        basis, strengths = _orthogonal(_back(rows, [_weighted_sum(row, basis) for row in rows], len(vocabulary)))
    return {
        lexeme: [rarity[lexeme] * x * strength for x, strength in zip(basis[n], strengths, strict=True)]
        for lexeme, n in vocabulary.items()
    }


def direction(document: Mapping[int, float], vectors: Mapping[int, Vector]) -> list[float] | None:
    """Return the unit vector of a document from its frequencies in the order of the text; None if it has no vector."""
    known = [(vectors[lexeme], frequency) for lexeme, frequency in document.items() if lexeme in vectors]
    total = [0.0] * DIMENSIONS
    for vector, frequency in known[:MAX_LEXEMES]:
        weight = math.log1p(frequency)
        total = [a + weight * x for a, x in zip(total, vector, strict=False)]
    length = math.hypot(*total)
    return [x / length for x in total] if length else None


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of two unit vectors."""
    return float(sum(map(mul, one, other)))


def _row(document: Mapping[str, float], vocabulary: Mapping[str, int], rarity: Mapping[str, float]) -> _Row:
    known = [lexeme for lexeme in document if lexeme in vocabulary][:MAX_LEXEMES]
    row = [(vocabulary[lexeme], math.log1p(document[lexeme]) * rarity[lexeme]) for lexeme in known]
    length = math.hypot(*(weight for _, weight in row))
    return [(n, weight / length) for n, weight in row] if length else []


def _weighted_sum(row: _Row, basis: Sequence[Vector]) -> list[float]:
    total = [0.0] * len(basis[0]) if basis else []
    for n, weight in row:
        total = [a + weight * x for a, x in zip(total, basis[n], strict=True)]
    return total


def _back(rows: Sequence[_Row], sums: Sequence[Vector], size: int) -> list[list[float]]:
    basis = [[0.0] * len(sums[0]) for _ in range(size)] if sums else []
    for row, total in zip(rows, sums, strict=True):
        for n, weight in row:
            basis[n] = [a + weight * x for a, x in zip(basis[n], total, strict=True)]
    return basis


def _orthogonal(basis: Sequence[Vector]) -> tuple[list[list[float]], list[float]]:
    """Return the basis with its columns made perpendicular and of length 1, and the lengths they had."""
    columns: list[list[float]] = []
    lengths: list[float] = []
    for column in map(list, zip(*basis, strict=True)):
        rest = column
        for done in columns:
            share = sum(map(mul, done, rest))
            rest = [a - share * x for a, x in zip(rest, done, strict=True)]
        length = math.hypot(*rest)
        lengths.append(length if length > NEGLIGIBLE * math.hypot(*column) else 0.0)
        columns.append([x / length for x in rest] if lengths[-1] else [0.0] * len(rest))
    return [list(row) for row in zip(*columns, strict=True)], lengths
