"""Cutting an article into passages short enough to quote. Pure."""

from __future__ import annotations

import re

PASSAGE_CHARS = 1_200
SMALL_CHARS = 300
"""A shorter piece is joined with the next one."""

_BLANK_LINES = re.compile(r"\n\s*\n")
_HEADING = re.compile(r"\s*#{1,6}\s")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")


def cut(body: str) -> list[str]:
    """Cut at blank lines, else at sentence ends, else anywhere; a heading starts a passage and stays with its text."""
    passages: list[str] = []
    for block in _BLANK_LINES.split(body):
        for piece in _bounded(block.strip()):
            if passages and _joins(passages[-1], piece):
                passages[-1] += "\n\n" + piece
            else:
                passages.append(piece)
    return passages


def _joins(passage: str, piece: str) -> bool:
    if len(passage) + len(piece) + 2 > PASSAGE_CHARS:
        return False
    return _is_bare_heading(passage) or (len(passage) < SMALL_CHARS and not _HEADING.match(piece))


def _is_bare_heading(passage: str) -> bool:
    last = passage.rpartition("\n\n")[2]
    return _HEADING.match(last) is not None and "\n" not in last


def _bounded(block: str) -> list[str]:
    pieces: list[str] = []
    for sentence in _SENTENCE_END.split(block) if len(block) > PASSAGE_CHARS else [block]:
        for start in range(0, len(sentence), PASSAGE_CHARS):
            part = sentence[start : start + PASSAGE_CHARS]
            if pieces and len(pieces[-1]) + len(part) < PASSAGE_CHARS:
                pieces[-1] += " " + part
            else:
                pieces.append(part)
    return pieces
