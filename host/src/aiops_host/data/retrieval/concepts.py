"""What lexemes are about, learnt from which of them occur together in the tenant's own documents.

Latent semantic analysis: two texts that share few words but speak of the same things point the same way. It orders
the best hits of the word search, and knows nothing of categories. Pure; the figures stand in the decision record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 32
SPARE_DIMENSIONS = 32
ROUNDS = 8
"""With the spare dimensions enough for the kept ones to be the same whatever they started from."""

MIN_DOCUMENTS = 3
"""A lexeme of fewer documents has no company to be known by."""

MAX_VOCABULARY = 2_000
MAX_LEXEMES = 60
"""Of one document: what it begins with says what it is about, and a pasted log has hundreds."""

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int32]


def learn(documents: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return a vector for each lexeme that several documents share; the same documents give the same vectors.

    Args:
        documents: The frequency of each lexeme in each document, in the order of the text.
    """
    spread = Counter(lexeme for document in documents for lexeme in document)
    commonest = sorted(spread, key=lambda lexeme: (-spread[lexeme], lexeme))[:MAX_VOCABULARY]
    vocabulary = [lexeme for lexeme in commonest if spread[lexeme] >= MIN_DOCUMENTS]
    if not vocabulary:
        return {}
    shares = np.array([spread[lexeme] for lexeme in vocabulary], np.float32)
    rarity = np.log1p((len(documents) - shares + 0.5) / (shares + 0.5))
    columns = {lexeme: n for n, lexeme in enumerate(vocabulary)}
    basis, strengths = _principal(_unit(_frequencies(documents, columns) * rarity))
    return dict(zip(vocabulary, (rarity[:, None] * basis * strengths).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Said:
    """The lexemes of a text in its order, and how often each occurs in it."""

    lexemes: Ints
    frequencies: Floats


def cosines(texts: Sequence[Said], lexemes: Ints, vectors: Floats) -> list[float]:
    """Return how far each text but the first points the way the first does, from -1 to 1; 0 for one without vectors.

    Args:
        texts: The query, then the documents.
        lexemes: Those that something was learnt of, ascending; the others say nothing.
        vectors: What was learnt, a row for each of ``lexemes``.
    """
    if not len(lexemes):
        return [0.0] * (len(texts) - 1)
    directions = _unit(_said(texts, lexemes) @ vectors)
    cosine: list[float] = (directions[1:] @ directions[0]).tolist()
    return cosine


def _said(texts: Sequence[Said], lexemes: Ints) -> Floats:
    """Return the same as :func:`_frequencies` of texts whose lexemes are numbers, without a step for each of them."""
    said = np.concatenate([text.lexemes for text in texts])
    lengths = [len(text.lexemes) for text in texts]
    columns = np.searchsorted(lexemes, said).clip(max=len(lexemes) - 1)
    known = lexemes[columns] == said
    before = np.cumsum(known) - known
    begins = np.cumsum([0, *lengths[:-1]])
    # What a text begins with: each known lexeme's place among the known ones of its text. No text is empty.
    kept = known & (before - np.repeat(before[begins], lengths) < MAX_LEXEMES)
    rows = np.zeros((len(texts), len(lexemes)), np.float32)
    rows[np.repeat(np.arange(len(texts)), lengths)[kept], columns[kept]] = np.concatenate(
        [text.frequencies for text in texts]
    )[kept]
    return np.log1p(rows)


def _frequencies(documents: Sequence[Mapping[str, float]], columns: Mapping[str, int]) -> Floats:
    """Return the logarithm of each lexeme's frequency: a row for each document, a column for each lexeme."""
    rows = np.zeros((len(documents), len(columns)), np.float32)
    for row, document in zip(rows, documents, strict=True):
        known = list(islice((lexeme for lexeme in document if lexeme in columns), MAX_LEXEMES))
        row[[columns[lexeme] for lexeme in known]] = [document[lexeme] for lexeme in known]
    return np.log1p(rows)


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit


def _principal(rows: Floats) -> tuple[Floats, Floats]:
    """Return the directions the rows vary most in, as columns, and the strength of each; by subspace iteration."""
    start = np.random.default_rng(0).standard_normal((rows.shape[1], DIMENSIONS + SPARE_DIMENSIONS), np.float32)
    basis = np.linalg.qr(start).Q
    for _ in range(ROUNDS):
        basis = np.linalg.qr(rows.T @ (rows @ basis)).Q
    _, lengths, turned = np.linalg.svd(rows @ basis, full_matrices=False)
    return basis @ turned[:DIMENSIONS].T, lengths[:DIMENSIONS] ** 2
