"""The words of a text, as they are counted before PostgreSQL stems them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

MAX_CHARS = 20_000
"""Read of one text for the index; the rest of a longer one, usually a pasted log, repeats itself."""

MAX_WORD = 64
MIN_NUMBER_PART = 3
"""Shorter numbers inside a compound (an octet, a day) say nothing without it."""

FUNCTION_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with "
    "aber als am an auch auf aus bei das dass dem den der des die ein eine einem einen einer eines er es für im in ist "
    "mit nach nicht noch oder sie sind so um und von war wenn wird zu zum zur"
)
"""What joins words in English and German and is about nothing: a search does not ask for them."""

_COMPOUND = re.compile(r"[^\W_]+(?:[.@_:-]{1,2}[^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


def clean(text: str, limit: int) -> str:
    """Return what PostgreSQL can store of ``text``: no NUL, no lone surrogates, at most ``limit`` characters."""
    return text[:limit].replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")


def count_words(text: str) -> Counter[str]:
    """Count the lower-case words of the first ``MAX_CHARS`` characters.

    A host name, address or code (``srv-01.corp.example``, ``10.1.2.3``, ``ERR-1234``) counts whole and by its parts.
    """
    folded = unicodedata.normalize("NFKC", clean(text, MAX_CHARS)).lower()
    counts: Counter[str] = Counter()
    for compound in _COMPOUND.findall(folded):
        counts.update(_words_of(compound))
    return counts


def _words_of(compound: str) -> list[str]:
    parts = _PART.findall(compound)
    if len(parts) == 1:
        return parts if 1 < len(compound) <= MAX_WORD else []
    words = [p for p in parts if 1 < len(p) <= MAX_WORD and not (p.isdigit() and len(p) < MIN_NUMBER_PART)]
    if len(compound) <= MAX_WORD and _is_identifier(compound):
        words.append(compound)
    return words


def _is_identifier(compound: str) -> bool:
    if not any(c.isalpha() for c in compound):
        return _IPV4.fullmatch(compound) is not None
    return "." in compound or "@" in compound or any(c.isdigit() for c in compound)
