"""The pure parts of retrieval: words, passages, concepts, asset keys and the choice of terms to read."""

import random
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_host.data.retrieval import concepts, ranking
from aiops_host.data.retrieval.assets import canonical
from aiops_host.data.retrieval.passages import PASSAGE_CHARS, cut
from aiops_host.data.retrieval.words import MAX_CHARS, clean, count_words

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=300)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("VPN vpn Vpn", {"vpn": 3}),
        ("VPN-Verbindung", {"vpn": 1, "verbindung": 1}),
        ("srv-01.corp.example", {"srv": 1, "corp": 1, "example": 1, "srv-01.corp.example": 1}),
        ("10.1.2.3", {"10.1.2.3": 1}),
        ("ERR-1234", {"err": 1, "1234": 1, "err-1234": 1}),
        ("ada@example.com", {"ada": 1, "example": 1, "com": 1, "ada@example.com": 1}),
        ("error 0x80070005.", {"error": 1, "0x80070005": 1}),
        ("fe80::1", {"fe80": 1, "fe80::1": 1}),
        ("well-known", {"well": 1, "known": 1}),
        ("2024-01-05", {"2024": 1}),
        (r"C:\Temp\log.txt", {"temp": 1, "log": 1, "txt": 1, "log.txt": 1}),
        ("\ufb01le \uff36\uff30\uff2e", {"file": 1, "vpn": 1}),
        ("a b c", {}),
        ("x" * 65, {}),
        ("", {}),
    ],
)
def test_words_of_a_text(text: str, words: dict[str, int]) -> None:
    """Words are folded to lower case; names of machines, addresses and codes count whole and by their parts."""
    assert count_words(text) == words


@given(ANY_TEXT)
def test_words_can_be_stored(text: str) -> None:
    """Whatever the text, its words are short, lower case and without what PostgreSQL refuses."""
    for word in count_words(text):
        assert word == clean(word, len(word)) == word.lower()
        assert 1 < len(word) <= 64


@given(ANY_TEXT)
def test_clean_text_can_be_stored(text: str) -> None:
    """Cleaned text is bounded, encodes as UTF-8 and holds no NUL."""
    cleaned = clean(text, 100)
    assert len(cleaned) == min(len(text), 100)
    assert b"\x00" not in cleaned.encode()


def test_words_after_the_limit_do_not_count() -> None:
    """Only the beginning of an endless text is read."""
    assert set(count_words("early " + "x " * MAX_CHARS + "late")) == {"early"}


@given(st.lists(st.sampled_from(["# Heading", "A sentence. ", "word ", "\n", "\n\n", "x" * 700]), max_size=40))
def test_passages_are_bounded_and_lose_nothing(parts: list[str]) -> None:
    """Every passage can be quoted whole, none is empty, and together they hold every word of the article."""
    body = "".join(parts)
    passages = cut(body)
    assert all(0 < len(passage) <= PASSAGE_CHARS for passage in passages) or not body.strip()
    assert "".join("".join(passages).split()) == "".join(body.split())


def test_a_heading_stays_with_its_text() -> None:
    """A new heading starts a passage; a heading alone takes the next paragraph along."""
    long = "Words. " * 60
    assert cut(f"# One\n\n{long}\n\n## Two\n\nShort.\n\nAlso short.") == [
        f"# One\n\n{long.strip()}",
        "## Two\n\nShort.\n\nAlso short.",
    ]


def test_headings_in_a_row_stay_together() -> None:
    """A title above the first section's heading is no passage of its own."""
    assert cut("# Guide\n\n## First\n\nText.") == ["# Guide\n\n## First\n\nText."]


def test_words_that_keep_the_same_company_point_the_same_way() -> None:
    """Lexemes of one subject, though never met in one document, are closer than lexemes of two subjects."""
    rng = random.Random(1)  # noqa: S311 - test data
    subjects = [[f"{subject}of{n}" for n in range(6)] for subject in range(30)]
    documents = [dict.fromkeys([*rng.sample(subjects[n % 30], 3), "please"], 1.0) for n in range(900)]
    laptop, notebook, printer = subjects[0][0], subjects[0][1], subjects[1][0]
    vectors = concepts.learn([d for d in documents if not {laptop, notebook} <= d.keys()])

    learnt = np.array([vectors[lexeme] for lexeme in (laptop, notebook, printer)], np.float32)
    same, other = concepts.cosines([said({n: 1.0}) for n in range(3)], np.arange(3, dtype=np.int32), learnt)
    assert same > other + 0.5


def test_learning_the_same_gives_the_same() -> None:
    """Vectors depend on the documents only; a lexeme of too few documents, or nothing to learn from, has none."""
    documents = [{"vpn": 1.0, "drops": 2.0, f"only{n}": 1.0} for n in range(5)]
    assert concepts.learn(documents) == concepts.learn(documents)
    assert set(concepts.learn(documents)) == {"vpn", "drops"}
    assert concepts.learn([]) == {}
    assert concepts.learn([{}, {}, {}]) == {}


def test_what_is_learnt_does_not_depend_on_where_learning_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are as close to each other from one random start as from another."""
    rng = random.Random(2)  # noqa: S311 - test data
    subjects = [[f"{subject}of{n}" for n in range(8)] for subject in range(20)]
    documents = [
        dict.fromkeys([*rng.sample(subjects[min(n % 23, n % 20)], 4), f"word{rng.randrange(90)}"], 1.0)
        for n in range(900)
    ]
    numbers = {lexeme: n for n, lexeme in enumerate(sorted({lexeme for document in documents for lexeme in document}))}
    bags = [{numbers[lexeme]: n for lexeme, n in document.items()} for document in documents]

    def closeness() -> list[float]:
        learnt = concepts.learn(documents)
        known = sorted(learnt, key=lambda lexeme: numbers[lexeme])
        vectors = np.array([learnt[lexeme] for lexeme in known], np.float32)
        lexemes = np.array([numbers[lexeme] for lexeme in known], np.int32)
        return concepts.cosines([said(bag) for bag in bags[:60]], lexemes, vectors)

    first = closeness()
    seeded = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: seeded(seed + 1))
    assert closeness() == pytest.approx(first, abs=0.01)


def test_a_document_points_where_its_words_point() -> None:
    """Frequency counts, but not length; a document without a known lexeme points nowhere."""
    vectors = np.array([[3.0, 0.0], [0.0, 4.0]], np.float32)
    lexemes = np.array([1, 2], np.int32)
    texts = [{1: 1.0, 3: 9.0}, {1: 1.0, 2: 1.0}, {1: 5.0, 2: 5.0, 3: 1.0}, {2: 2.0}, {3: 1.0, 0: 1.0}]
    mixed, longer, other, unknown = concepts.cosines([said(text) for text in texts], lexemes, vectors)
    assert mixed == pytest.approx(0.6)
    assert longer == pytest.approx(0.6)
    assert other == unknown == 0.0
    assert concepts.cosines([said({1: 1.0}), said({1: 1.0})], lexemes[:0], vectors) == [0.0]


def test_only_what_a_document_begins_with_says_where_it_points() -> None:
    """Of a pasted log the first known lexemes count, wherever unknown ones stand between, and each text has its own."""
    lexemes = np.arange(100, dtype=np.int32)
    vectors = np.eye(100, dtype=np.float32)
    long = {n if n % 2 else 1000 + n: 1.0 for n in range(180)} | dict.fromkeys(range(0, 100, 2), 1.0)
    first = dict.fromkeys([*range(1, 100, 2), *range(0, 100, 2)][: concepts.MAX_LEXEMES], 1.0)
    texts = [said(long), said(long), said(first), said({98: 1.0, 100: 1.0}), said(first)]
    assert concepts.cosines(texts, lexemes, vectors) == pytest.approx([1.0, 1.0, 0.0, 1.0])


def said(bag: Mapping[int, float]) -> concepts.Said:
    """Return what a text says, as it comes from PostgreSQL."""
    return concepts.Said(np.array(list(bag), np.int32), np.array(list(bag.values()), np.float32))


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("  SRV-01.Corp.Example. ", "srv-01.corp.example"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("[FE80::1%eth0]", "fe80::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.256", "10.0.0.256"),
        ("Label Printer 4", "label printer 4"),
    ],
)
def test_one_spelling_of_a_key(key: str, kept: str) -> None:
    """Addresses and hostnames have one canonical form; anything else is lower case."""
    assert canonical(key) == kept


def test_common_words_beyond_the_budget_are_not_read() -> None:
    """The weightiest terms are read first, at least the minimum, then those that still fit."""
    sizes = [10, 30_000, 30_000, 20_000, 500, 9_000]
    terms = [ranking.Term(n, size, 10.0 - n) for n, size in enumerate(sizes)]
    assert [term.lexeme_id for term in ranking.within_budget(terms)] == [0, 1, 2]
    assert [term.lexeme_id for term in ranking.within_budget(terms[:1] + terms[3:])] == [0, 3, 4, 5]
