"""Drafts of notes: read what a model answered, keep only what its evidence carries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from aiops_core.sanitise import clean_text
from aiops_core.tickets import Claim, NoteDraft, NoteSection, SectionKind

SECTION_ORDER: tuple[SectionKind, ...] = ("summary", "similar", "documentation", "systems", "triage", "next_steps")
MAX_CLAIM_WORDS = 60

_CITATION = re.compile(r"\s*\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_SENTENCE = re.compile(r"(?<=[.!?])(?:(?=\s*\[\d)|\s+(?=[^\s\[]))|\n+")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s*|\*\*)?(?P<text>[^.!?\[\]]{3,60}?)(?:\*\*)?:?\s*$")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.S)
_FIRST_PERSON_DEED = re.compile(
    r"^\W*(?:i|we)(?:'ve|’ve|\s+have|\s+had)?\s+(?:already\s+|just\s+|now\s+|successfully\s+)*"
    r"(?:\w{2,}ed|sent|told|put|reset|ran|run|did|done|made|set|took|wrote|gave|found)\b",
    re.I,
)
_HEADING_WORDS: tuple[tuple[str, SectionKind], ...] = (
    ("next", "next_steps"),
    ("step", "next_steps"),
    ("recommend", "next_steps"),
    ("similar", "similar"),
    ("past", "similar"),
    ("document", "documentation"),
    ("knowledge", "documentation"),
    ("system", "systems"),
    ("asset", "systems"),
    ("triage", "triage"),
    ("summary", "summary"),
    ("about", "summary"),
)


class _Answer(msgspec.Struct, frozen=True):
    sections: tuple[NoteSection, ...]


def draft_schema() -> dict[str, Any]:
    """Return the JSON schema of the answer a backend asks of its model: sections of cited claims."""
    (schema,), components = msgspec.json.schema_components([_Answer], ref_template="#/$defs/{name}")
    return {**components.pop(schema["$ref"].rpartition("/")[2]), "$defs": components}


def read_draft(text: str) -> NoteDraft:
    """Read a model's answer: the asked structure, bare or fenced, else prose sentence by sentence.

    In prose ``[n]`` is a sentence's citation; a cited sentence goes under the last recognised heading or the
    summary, an uncited one under the next steps.
    """
    for candidate in _json_candidates(text):
        try:
            return NoteDraft(msgspec.json.decode(candidate, type=_Answer).sections)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            continue
    return _read_prose(text)


def check_draft(draft: NoteDraft) -> NoteDraft:
    """Keep what the evidence carries; idempotent.

    Citations that point nowhere go; a claim left without one stays only under the next steps; a model's word
    that it did something goes; repeated claims go. Evidence nobody cites goes and the rest is renumbered in
    the order of its first citation.
    """
    sections = _in_order(draft.sections, len(draft.evidence))
    used: dict[int, int] = {}
    for section in sections:
        for claim in section.claims:
            for number in claim.citations:
                used.setdefault(number, len(used) + 1)
    renumbered = tuple(
        NoteSection(s.kind, tuple(Claim(c.text, tuple(sorted(used[n] for n in c.citations))) for c in s.claims))
        for s in sections
    )
    return msgspec.structs.replace(
        draft, sections=renumbered, evidence=tuple(draft.evidence[number - 1] for number in used)
    )


def _json_candidates(text: str) -> Iterable[bytes]:
    fenced = [m[1] for m in _FENCED.finditer(text)]
    start, end = text.find("{"), text.rfind("}")
    bare = [text[start : end + 1]] if 0 <= start < end else []
    return [c.encode(errors="replace") for c in (*fenced, *bare)]


def _read_prose(text: str) -> NoteDraft:
    kind: SectionKind = "summary"
    found: dict[SectionKind, list[Claim]] = {}
    for line in text.splitlines():
        if heading := _heading_kind(line):
            kind = heading
            continue
        for sentence in _sentences(_BULLET.sub("", line)):
            claim = _with_citations(Claim(sentence))
            if len(claim.text) > 2:
                found.setdefault(kind if claim.citations else "next_steps", []).append(claim)
    return NoteDraft(tuple(NoteSection(k, tuple(c)) for k, c in found.items()))


def _sentences(line: str) -> list[str]:
    parts: list[str] = []
    for part in _SENTENCE.split(line):
        if parts and _CITATION.fullmatch(part.rstrip(" .!?")):
            parts[-1] += " " + part
        elif part.strip():
            leading = _CITATION.match(part) if parts else None
            if leading:
                parts[-1] += leading[0]
                part = part[leading.end() :].strip()
            if part.strip(" .!?"):
                parts.append(part.strip())
    return parts


def _heading_kind(line: str) -> SectionKind | None:
    match = _HEADING.match(line)
    if not match or not (line.lstrip().startswith(("#", "**")) or line.rstrip().endswith(":")):
        return None
    words = match["text"].lower()
    return next((kind for word, kind in _HEADING_WORDS if word in words), "summary")


def _with_citations(claim: Claim) -> Claim:
    """Move ``[n]`` marks from the text to the citations."""
    marks = [int(n) for m in _CITATION.finditer(claim.text) for n in re.findall(r"\d+", m[1])]
    text = _CITATION.sub("", claim.text).strip()
    return Claim(text, tuple(dict.fromkeys((*claim.citations, *marks))))


def _in_order(sections: Iterable[NoteSection], evidence: int) -> list[NoteSection]:
    kept: dict[SectionKind, dict[str, Claim]] = {kind: {} for kind in SECTION_ORDER}
    for section in sections:
        for raw in section.claims:
            claim = _checked(raw, evidence)
            if claim.text and (claim.citations or section.kind == "next_steps") and not _is_deed(claim.text):
                kept[section.kind].setdefault(claim.text.casefold(), claim)
    return [NoteSection(kind, tuple(claims.values())) for kind, claims in kept.items() if claims]


def _checked(raw: Claim, evidence: int) -> Claim:
    claim = _with_citations(raw)
    valid = tuple(dict.fromkeys(n for n in claim.citations if 1 <= n <= evidence))
    fenced = "```" in claim.text
    return Claim(_shortened(clean_text(claim.text, keep_lines=fenced), fenced), valid)


def _shortened(text: str, fenced: bool) -> str:
    words = text.split()
    return text if fenced or len(words) <= MAX_CLAIM_WORDS else " ".join(words[:MAX_CLAIM_WORDS]) + " …"


def _is_deed(text: str) -> bool:
    return _FIRST_PERSON_DEED.match(text) is not None
