"""Words and sentences of plain text in English and German: what two texts have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

# Function words and the courtesies every ticket has; none says what a ticket is about.
_FUNCTION_WORDS = """
    a about actually after again all already also although always am an and any anyone anything are as asap ask at back be because been
    before being best both but by came can cannot come could days dear did do does doing done don during each else even
    ever every few fine first for from further get gets getting give go goes going good got had has have having he hello
    help her here hi him his how however i if immediately in into is issue issues it its just kind know last let like long
    look looks made make many may me might month more morning most much must my need night needs never new next no not now of
    off ok on once one only or other our out over own per please possible problem problems regards right said same say saying says see seems she
    should show since so some someone something soon still such sure take team than thank thanks that the their them
    then there these they thing this those through time to today tomorrow too tried trying try two under until up upon
    urgent us use used user users using very want was way we week well went were what when where whether which while
    who whole why will with without won work worked working works would year yes yesterday yet you your
    ab aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim beiden bereits besten bis
    bitte bin bist da dabei dadurch dafür damit danach dann daran darauf das dass davon dazu dein dem den denn der des
    deshalb die dies diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines einige er es
    etwas euch für ganz gar gegen geht gehen gibt grüße gruß gut guten habe haben hallo hat hatte heute hier hilfe ich
    ihm ihn ihnen ihr ihre ihrem ihren im immer in ins ist ja jede jedem jeden jeder jetzt kann kein keine keinen kommt
    können könnt könnte lg liebe man mehr mein meine meinem meinen meiner mfg mich mir mit möchte morgen muss müssen
    nach nein nicht nichts noch nun nur ob oder ohne problem probleme schon sehr seid sein seine seit sich sie sind so
    sobald soll sollte sondern trotz über um und uns unser unsere unter viel vielen vom von vor wann war waren warum
    was weil wenn wer werden wie wieder wir wird wo wurde wurden zu zum zur zwei zwischen danke dank vielen freundlichen
"""
_EMPTY = frozenset(_FUNCTION_WORDS.split())
_ENDINGS = ("ing", "ung", "ern", "ed", "es", "en", "er", "em", "s", "e", "n")
_ADDRESS = re.compile(r"\S+@\S+|\b(?:[a-z][a-z0-9+.-]*://|www\.)\S+|\b(?:[a-z0-9-]+\.){2,}[a-z]{2,}\b", re.I)
_TERM = re.compile(r"[^\W_][\w.@\\/-]*[^\W_]|[^\W_]")
_PART = re.compile(r"[^\W_]+")
_END = re.compile(
    r"(?<=[.!?])(?<!\b[a-z]\.)(?<!\b[A-Z]\.)(?<!e\.g\.)(?<!i\.e\.)(?<!bzw\.)(?<!ca\.)(?<!\betc\.)(?<!\.\.\.)\s+(?=[\"'(„“A-ZÄÖÜ0-9])"
)
_BULLET = re.compile(r"^\s*(?:[-*•\u2013]|\(?\d{1,2}[.)])\s+", re.I)
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+|>\s+)|\*\*|`+")
_MIN_STEM = 4
_MIN_DIGITS = 3


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Return a word without its inflections: good enough to match *printing*, *printers* and *Druckern*."""
    while ending := next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= _MIN_STEM), None):
        word = word[: -len(ending)]
    return word


@lru_cache(maxsize=512)  # one run reads each item found four times, and the next run finds many of them again
def terms(text: str) -> frozenset[str]:
    """Return the distinct stems of the words that say something; names such as ``fs02`` and ``10.0.0.7`` stay whole."""
    found: set[str] = set()
    for token in _TERM.findall(_ADDRESS.sub(" ", text).casefold()):
        parts = _PART.findall(token)
        if len(parts) > 1 and any(c.isdigit() for c in token):
            found.add(token)
        found |= {
            stem(p) for p in parts if p not in _EMPTY and len(p) > 1 and not (p.isdigit() and len(p) < _MIN_DIGITS)
        }
    return frozenset(found)


def likeness(wanted: frozenset[str], offered: frozenset[str]) -> float:
    """Return the share of the shorter text's words that both have, 0 to 1."""
    if not wanted or not offered:
        return 0.0
    return len(wanted & offered) / min(len(wanted), len(offered))


def sentences(text: str) -> list[str]:
    """Return the sentences and list items of plain or lightly marked-up text, in order; headings and code are left out."""
    found: list[str] = []
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and not line.lstrip().startswith("#"):
            found += _split(line)
    return found


def shortened(text: str, words: int) -> str:
    """Return the text cut after ``words`` words."""
    parts = text.split()
    return " ".join(parts) if len(parts) <= words else " ".join(parts[:words]).rstrip(",;:") + " …"


def joined(parts: Iterable[str]) -> str:
    """Return sentences as one line, each closed by a full stop."""
    return " ".join(p if p.endswith((".", "!", "?", "…", ":")) else p + "." for p in parts)


def plain(text: str) -> str:
    """Return text without its light markup."""
    return " ".join(_MARKUP.sub("", text).split())


def _split(line: str) -> list[str]:
    found: list[str] = []
    for part in _END.split(_BULLET.sub("", line)):
        if found and found[-1].count('"') % 2:
            found[-1] += f" {plain(part)}"
        elif said := plain(part):
            found.append(said)
    return found
