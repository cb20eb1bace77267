"""A checked draft composed to the note's blocks, within its length."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import msgspec

from aiops_core.drafts import check_draft, without_citations
from aiops_core.sanitise import clean_text, link_allowed, without_foreign_links
from aiops_core.tickets import (
    Block,
    Claim,
    Code,
    Enhancement,
    Evidence,
    Heading,
    Link,
    ListBlock,
    NoteDraft,
    NoteSection,
    Paragraph,
    SectionKind,
    Triage,
)

MAX_WORDS = 500
FOOTER_WORDS = 15
"""Kept free for what a ticketing tool adds: the marker's reference and a word on its origin."""
MAX_CLAIMS = 12
MAX_CODE_WORDS = 120
MAX_NOTICES = 8
MAX_NOTICE_WORDS = 60
MAX_ALL_NOTICES_WORDS = 240
"""Shared by the notices, so that many long ones leave room for the note."""
MAX_LABEL_CHARACTERS = 400
CHARACTERS_PER_WORD = 13
TITLE = "AI Ops: first findings"
HEADINGS: dict[SectionKind, str] = {
    "summary": "What this is about",
    "similar": "Similar tickets and what fixed them",
    "documentation": "Relevant documentation",
    "systems": "Systems involved",
    "triage": "Suggested triage",
    "next_steps": "Next steps",
}
SUGGESTION = "Model's suggestion, not from your records: "
NOTHING_FOUND = "Nothing was found in this tenant's tickets, documentation or assets that this note could cite."
TRIAGE_MIN_CONFIDENCE = 0.5
TRIAGE_MIN_VOTES = 3

_LANGUAGE = re.compile(r"[A-Za-z0-9+#_-]{1,20}")


def compose(draft: NoteDraft, *, link_hosts: Collection[str] = ()) -> Enhancement:
    """Compose the note; the draft is checked first, so any agent's draft may come in.

    Args:
        draft: Sections, evidence, triage and notices.
        link_hosts: Hosts links may point to; every other address is taken out of the text.

    Returns:
        An enhancement of at most ``MAX_WORDS`` words, the footer included: the longest sections lose their last
        claims first.
    """
    checked = check_draft(draft)
    sections = tuple(NoteSection(s.kind, s.claims[:MAX_CLAIMS]) for s in checked.sections)
    checked = check_draft(msgspec.structs.replace(checked, sections=sections))
    body = tuple(_blocks(checked, link_hosts))
    while word_count(body) > MAX_WORDS - FOOTER_WORDS and (shorter := _without_last_claim(checked)) is not None:
        checked = check_draft(shorter)
        body = tuple(_blocks(checked, link_hosts))
    return Enhancement(body=body)


def word_count(body: tuple[Block, ...]) -> int:
    """Return the number of white-space separated words of the note as plain text, list marks and rules included."""
    return len(plain_text(Enhancement(body=body)).split())


def plain_text(enhancement: Enhancement) -> str:
    """Return the note as plain text, for terminals, logs of posted notes and search."""
    return "\n".join(line for block in enhancement.body for line in _lines(block)).strip()


def _blocks(draft: NoteDraft, link_hosts: Collection[str]) -> Iterator[Block]:
    yield Heading(TITLE, level=1)
    sections = {s.kind: s for s in draft.sections}
    if not draft.evidence:
        yield Paragraph(NOTHING_FOUND)
    for kind, heading in HEADINGS.items():
        section = sections.get(kind)
        triage = _triage_items(draft.triage, link_hosts) if kind == "triage" else []
        if section is None and not triage:
            continue
        yield Heading(heading)
        if triage:
            yield ListBlock(tuple(triage))
        if section is not None:
            yield from _section_blocks(section, link_hosts)
    if draft.evidence:
        yield Heading("Sources")
        yield ListBlock(tuple(_source(n, e, link_hosts) for n, e in enumerate(draft.evidence, 1)))
    if notices := draft.notices[:MAX_NOTICES]:
        limit = min(MAX_NOTICE_WORDS, MAX_ALL_NOTICES_WORDS // len(notices))
        yield Heading("Not available")
        yield ListBlock(tuple(_few_words(n, limit, link_hosts) for n in notices))


def _section_blocks(section: NoteSection, link_hosts: Collection[str]) -> Iterator[Block]:
    items: list[str] = []
    start = 1
    for claim in section.claims:
        lead, code = _parted(claim, link_hosts)
        items.append(lead)
        if code is not None:
            yield _list(section, items, start)
            yield code
            start += len(items)
            items = []
    if items and section.kind == "summary":
        yield from (Paragraph(item) for item in items)
    elif items:
        yield _list(section, items, start)


def _list(section: NoteSection, items: Sequence[str], start: int) -> ListBlock:
    ordered = section.kind == "next_steps"
    return ListBlock(tuple(items), ordered=ordered, start=start if ordered else 1)


def _parted(claim: Claim, link_hosts: Collection[str]) -> tuple[str, Code | None]:
    lead, fence, rest = claim.text.partition("```")
    marks = "".join(f"[{n}]" for n in claim.citations)
    # Taking a link out may put brackets around a number; only the claim's own citations are shown.
    text = without_citations(_safe(lead, link_hosts))[0].strip() or "Command"
    line = f"{text} {marks}" if marks else SUGGESTION + text
    return line, _code(rest.partition("```")[0], link_hosts) if fence else None


def _code(fenced: str, link_hosts: Collection[str]) -> Code | None:
    first, _, others = fenced.partition("\n")
    language = _LANGUAGE.fullmatch(first.strip()) if others else None
    text = without_foreign_links(
        clean_text(others if language or not first.strip() else fenced, keep_lines=True), link_hosts
    )
    lines, words = [], 0
    for line in text.splitlines():
        words += len(line.split())
        if words > MAX_CODE_WORDS:
            lines.append("…")
            break
        lines.append(line)
    shown = "\n".join(lines).strip("\n")
    return Code(shown, language[0] if language else None) if shown.strip() else None


def _triage_items(triage: Triage | None, link_hosts: Collection[str]) -> list[str]:
    if triage is None or triage.votes < TRIAGE_MIN_VOTES:
        return []
    items = []
    if triage.category and triage.category_confidence >= TRIAGE_MIN_CONFIDENCE:
        category = _few_words(triage.category, 8, link_hosts)
        items.append(f"Category: {category} ({triage.category_confidence:.0%} of {triage.votes} similar tickets)")
    if triage.priority and triage.priority_confidence >= TRIAGE_MIN_CONFIDENCE:
        items.append(
            f"Priority: {triage.priority} ({triage.priority_confidence:.0%} of {triage.votes} similar tickets)"
        )
    return items


def _source(number: int, evidence: Evidence, link_hosts: Collection[str]) -> str | Link:
    when = f", {evidence.time:%Y-%m-%d}" if evidence.time else ""
    source, ref = _few_words(evidence.source, 3, link_hosts), _few_words(evidence.ref, 5, link_hosts)
    label = f"[{number}] {source} {ref}: {_few_words(evidence.title, 14, link_hosts)}{when}"
    if evidence.url and link_allowed(evidence.url, link_hosts):
        return Link(label, evidence.url)
    return label


def _safe(text: str, link_hosts: Collection[str]) -> str:
    return without_foreign_links(clean_text(text), link_hosts)


def _few_words(text: str, limit: int, link_hosts: Collection[str]) -> str:
    words = _safe(text[: max(MAX_LABEL_CHARACTERS, limit * CHARACTERS_PER_WORD)], link_hosts).split()
    return " ".join(words[:limit]) + (" …" if len(words) > limit else "")


def _without_last_claim(draft: NoteDraft) -> NoteDraft | None:
    longest = max(draft.sections, key=lambda s: sum(len(c.text.split()) for c in s.claims), default=None)
    if longest is None:
        return None
    sections = tuple(NoteSection(s.kind, s.claims[:-1]) if s is longest else s for s in draft.sections)
    return msgspec.structs.replace(draft, sections=tuple(s for s in sections if s.claims))


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(text=text, level=level):
            yield f"\n{text}"
            yield ("=" if level == 1 else "-") * len(text)
        case ListBlock(items=items, ordered=ordered, start=start):
            for number, item in enumerate(items, start):
                mark = f"{number}." if ordered else "-"
                yield f"{mark} {item.text} <{item.url}>" if isinstance(item, Link) else f"{mark} {item}"
        case Link(text=text, url=url):
            yield f"{text} <{url}>"
        case Code(text=text):
            yield from (f"    {line}" for line in text.splitlines())
        case _:
            yield block.text
