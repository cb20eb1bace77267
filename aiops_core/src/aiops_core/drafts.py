"""Drafts of notes: read what a model answered, keep only what its evidence carries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from aiops_core.sanitise import clean_text
from aiops_core.tickets import Claim, Evidence, NoteDraft, NoteSection, SectionKind

SECTION_ORDER: tuple[SectionKind, ...] = ("summary", "similar", "documentation", "systems", "triage", "next_steps")
MAX_CLAIM_WORDS = 60
MAX_CLAIM_CHARACTERS = 4000

_CITATION = re.compile(r"\s{0,3}[\[【]\s?\^?(\d{1,3}(?:\s?[,;\u2013-]\s?\^?\d{1,3}){0,20})\s?(?:†[^\]】]{0,60})?[\]】]")
_LEADING_CITATIONS = re.compile(rf"(?:{_CITATION.pattern})+")
_RANGE = re.compile(r"(\d+)\s?[\u2013-]\s?(\d+)")
_MAX_RANGE = 9
_CODE = re.compile(r"(```.*?(?:```|\Z))", re.S)
_JSON_BLOCK = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.S)
_JSON_PIECE = re.compile(
    r'"kind"\s*:\s*"(?P<kind>[^"\\]{1,40})"'
    r'|(?:"citations"\s*:\s*\[(?P<before>[^\]]{0,200})\]\s*,\s*)?"text"\s*:\s*"(?P<text>(?:[^"\\]|\\.)*)"'
    r'(?:\s*,\s*"citations"\s*:\s*\[(?P<after>[^\]]{0,200})\])?',
    re.S,
)
_ABBREVIATED = "".join(
    rf"(?<!\b{word})" for word in (r"e\.g\.", r"i\.e\.", r"z\.B\.", r"d\.h\.", r"vs\.", r"ca\.", r"No\.")
)
_SENTENCE = re.compile(rf"(?<=[.!?])(?:(?=\s*[\[【]\^?\d)|{_ABBREVIATED}\s+(?=[^\s\[a-zß-öø-ÿ]))|\n+")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s*|\*\*)?(?P<text>[^.!?\[\]]{3,60}?)(?:\*\*)?:?(?:\*\*)?\s*$")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)([^\n]{1,300}?)(?<=\S)\1")

_ACTED = r"(?:(?!\w*eed\b)\w{2,}ed|sent|told|put|reset|ran|run|did|done|made|set|took|wrote|gave|found|shut|rebuilt)\b"
_OFTEN = r"(?:\s+(?:already|just|now|successfully|also|since|therefore|then|(?:went|gone)\s+ahead\s+and))*"
_FIRST_PERSON = rf"(?:(?:i|we)(?:['\u2019]ve|\s+have|\s+had)?{_OFTEN}\s+{_ACTED}|(?:ich\s+habe|wir\s+haben)\b)"
_DEED = re.compile(rf"(?:^\W*|[.!?:;]\s+){_FIRST_PERSON}", re.I)
_DONE = r"(?:add|assign|chang|clos|complet|creat|delet|disabl|enabl|escalat|fix|install|notifi|post|remov|resolv|restart|unlock|updat)ed|reset|sent|done"
_HEDGED = (
    r"(?:[\w'\u2019-]+\s+){0,8}?"
    r"(?:if|whether|once|after|when|until|unless|that|which|who|what|why|how|where|see|ask|check|verify|confirm|ensure|sure)\b"
)
_UNCITED_DEED = re.compile(
    rf"(?:^\W*|[.!?:;,\u2013-]\s+)(?:and\s+|so\s+)?(?:{_FIRST_PERSON}"
    rf"|(?!{_HEDGED})(?:[\w'\u2019-]+\s+){{1,6}}"
    rf"(?:(?:has|have){_OFTEN}\s+been{_OFTEN}\s+{_ACTED}|(?:was|were){_OFTEN}\s+(?:{_DONE})\b)"
    rf"|(?:the\s+)?(?:ticket|comment|note|reply|update|email|user|requester|task)\s+(?:is\s+)?(?:{_DONE})\b)",
    re.I,
)
_SECTION_WORDS: tuple[tuple[str, SectionKind | None], ...] = (
    ("source", None),
    ("reference", None),
    ("next", "next_steps"),
    ("step", "next_steps"),
    ("recommend", "next_steps"),
    ("nächste", "next_steps"),
    ("schritt", "next_steps"),
    ("similar", "similar"),
    ("past", "similar"),
    ("ähnlich", "similar"),
    ("document", "documentation"),
    ("dokument", "documentation"),
    ("knowledge", "documentation"),
    ("system", "systems"),
    ("asset", "systems"),
    ("triage", "triage"),
    ("summary", "summary"),
    ("about", "summary"),
    ("zusammenfassung", "summary"),
)
_BARE_HEADINGS = frozenset(
    {
        "summary",
        "what this is about",
        "similar tickets",
        "relevant documentation",
        "systems involved",
        "next steps",
        "sources",
    }
)


class _Answer(msgspec.Struct, frozen=True):
    sections: tuple[NoteSection, ...]


def draft_schema() -> dict[str, Any]:
    """Return the JSON schema of the answer a backend asks of its model: sections of cited claims."""
    (schema,), components = msgspec.json.schema_components([_Answer], ref_template="#/$defs/{name}")
    return {**components.pop(schema["$ref"].rpartition("/")[2]), "$defs": components}


def read_draft(text: str) -> NoteDraft:
    """Read a model's answer: the asked structure, bare or fenced, whole or cut off, else prose sentence by sentence.

    In prose ``[n]`` is a sentence's citation; a cited sentence goes under the last recognised heading or the
    summary, an uncited one under the next steps. A fenced block belongs to the sentence before it.
    """
    for candidate in _json_candidates(text):
        try:
            return NoteDraft(msgspec.json.decode(candidate, type=_Answer).sections)
        except (msgspec.MsgspecError, RecursionError):
            continue
    if '"sections"' in text:
        return _salvaged(text)
    return _Prose().read(text)


def check_draft(draft: NoteDraft) -> NoteDraft:
    """Keep what the evidence carries; idempotent.

    Citations that point nowhere go; a claim left without one stays only under the next steps; a model's word
    that it did something goes, unless it quotes the evidence it cites; repeated claims go. Evidence nobody cites goes and the rest is renumbered in
    the order of its first citation.
    """
    sections = _in_order(draft.sections, draft.evidence)
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


def without_citations(text: str) -> tuple[str, tuple[int, ...]]:
    """Return ``text`` without its ``[n]`` marks and their numbers; code between fences keeps its brackets."""
    numbers: dict[int, None] = {}

    def take(match: re.Match[str]) -> str:
        found = _numbers(match[1])
        numbers.update(dict.fromkeys(found))
        return "" if found else match[0]

    before = None
    while text != before:  # taking one mark out may bring the halves of another together
        before = text
        parts = _CODE.split(text)
        text = "".join(part if index % 2 else _CITATION.sub(take, part) for index, part in enumerate(parts))
    return text, tuple(numbers)


def _numbers(marks: str) -> list[int]:
    numbers: list[int] = []
    for mark in re.split(r"[,;]", marks.replace("^", "")):
        if span := _RANGE.fullmatch(mark.strip()):
            first, last = int(span[1]), int(span[2])
            if not 1 <= first < last <= first + _MAX_RANGE:
                return []
            numbers += range(first, last + 1)
        elif mark.strip().isdecimal():
            numbers.append(int(mark))
        else:
            return []
    return numbers


def _json_candidates(text: str) -> list[bytes]:
    fenced = [m[1] for m in _JSON_BLOCK.finditer(text)]
    start, end = text.find("{"), text.rfind("}")
    bare = [text[start : end + 1]] if 0 <= start < end else []
    return [c.encode(errors="replace") for c in (*fenced, *bare)]


def _salvaged(text: str) -> NoteDraft:
    """Read the claims that are whole in a structure that is not: cut off, or with a section of an unknown kind."""
    kind: SectionKind = "summary"
    found: list[NoteSection] = []
    for piece in _JSON_PIECE.finditer(text):
        if piece["kind"] is not None:
            kind = _section_kind(piece["kind"]) or "summary"
            continue
        numbers = re.findall(r"\d{1,3}", piece["after"] or piece["before"] or "")
        found.append(NoteSection(kind, (Claim(_json_text(piece["text"]), tuple(map(int, numbers))),)))
    return NoteDraft(tuple(found))


def _json_text(escaped: str) -> str:
    try:
        return msgspec.json.decode(f'"{escaped}"'.encode(errors="replace"), type=str)
    except msgspec.MsgspecError:
        return escaped


class _Prose:
    """Reads prose line by line; ``kind`` is the section the cited sentences go to, ``None`` a list of sources."""

    def __init__(self) -> None:
        self.kind: SectionKind | None = "summary"
        self.found: dict[SectionKind, list[Claim]] = {}
        self.last: list[Claim] | None = None

    def read(self, text: str) -> NoteDraft:
        for index, part in enumerate(_CODE.split(text)):
            if index % 2:
                self._code(part)
            else:
                for line in part.splitlines():
                    self._line(line)
        return NoteDraft(tuple(NoteSection(k, tuple(c)) for k, c in self.found.items()))

    def _line(self, line: str) -> None:
        if heading := _heading(line):
            self.last = None
            if any(re.search(rf"\b{word}", heading) for word, _ in _SECTION_WORDS):
                self.kind = _section_kind(heading)
            return
        for sentence in _sentences(_BULLET.sub("", line)):
            text, citations = without_citations(_EMPHASIS.sub(r"\2", sentence[:MAX_CLAIM_CHARACTERS]))
            self._add(Claim(text.strip(), citations))

    def _add(self, claim: Claim) -> None:
        if len(claim.text.strip(" .!?*#_")) > 1 and self.kind is not None:
            self.last = self.found.setdefault(self.kind if claim.citations else "next_steps", [])
            self.last.append(claim)

    def _code(self, block: str) -> None:
        if self.last and "```" not in self.last[-1].text:
            self.last[-1] = Claim(f"{self.last[-1].text}\n{block}", self.last[-1].citations)
        else:
            self._add(Claim(block))


def _sentences(line: str) -> Iterator[str]:
    """Yield sentences, each with the citations that stand before or after its full stop."""
    waiting = ""
    for part in _SENTENCE.split(line):
        marks = _LEADING_CITATIONS.match(part) if waiting else None
        waiting += marks[0] if marks else ""
        rest = part[marks.end() :] if marks else part
        if rest.strip(" .!?"):
            if waiting:
                yield waiting.strip()
            waiting = rest
    if waiting:
        yield waiting.strip()


def _heading(line: str) -> str | None:
    """Return a heading's words in lower case, or ``None`` when the line is none."""
    match = _HEADING.match(line)
    if not match:
        return None
    words = match["text"].strip(" *").lower()
    marked = line.lstrip().startswith(("#", "**")) or line.rstrip(" *").endswith(":")
    return words if marked or words in _BARE_HEADINGS else None


def _section_kind(words: str) -> SectionKind | None:
    known = ((word, kind) for word, kind in _SECTION_WORDS if re.search(rf"\b{word}", words.lower().replace("_", " ")))
    return next((kind for _, kind in known), "summary")


def _in_order(sections: Iterable[NoteSection], evidence: Sequence[Evidence]) -> list[NoteSection]:
    kept: dict[SectionKind, dict[str, Claim]] = {kind: {} for kind in SECTION_ORDER}
    for section in sections:
        for raw in section.claims:
            claim = _checked(raw, len(evidence))
            carried = claim.citations or section.kind == "next_steps"
            if claim.text and carried and not _is_deed(claim, evidence):
                kept[section.kind].setdefault(claim.text.casefold(), claim)
    return [NoteSection(kind, tuple(claims.values())) for kind, claims in kept.items() if claims]


def _checked(raw: Claim, evidence: int) -> Claim:
    text, numbers, before = raw.text, list(raw.citations), None
    while text != before:  # cleaning may uncover a citation, and taking one out may leave something to clean
        before = text
        text, found = without_citations(_cleaned(text))
        text = text.strip()
        numbers += found
    return Claim(text, tuple(dict.fromkeys(n for n in numbers if 1 <= n <= evidence)))


def _cleaned(text: str) -> str:
    lines = clean_text(text, keep_lines=True)[:MAX_CLAIM_CHARACTERS]
    if "```" in lines:
        return lines
    words = lines.split()
    return " ".join(words) if len(words) <= MAX_CLAIM_WORDS else " ".join(words[:MAX_CLAIM_WORDS]) + " …"


def _is_deed(claim: Claim, evidence: Sequence[Evidence]) -> bool:
    lead = claim.text.partition("```")[0].strip(" .!")
    if not (_DEED if claim.citations else _UNCITED_DEED).search(re.sub("[*_`]", "", lead)):
        return False
    cited = (evidence[number - 1] for number in claim.citations)
    return not any(lead.casefold() in clean_text(f"{e.text} {e.resolution or ''}").casefold() for e in cited)
