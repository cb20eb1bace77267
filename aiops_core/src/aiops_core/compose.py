"""A checked draft composed to the note's blocks, within its length."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from aiops_core.drafts import check_draft
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
NOTHING_FOUND = "Nothing similar was found in this tenant's tickets, documentation or assets."
TRIAGE_MIN_CONFIDENCE = 0.5
TRIAGE_MIN_VOTES = 3


def compose(draft: NoteDraft, *, link_hosts: Collection[str] = ()) -> Enhancement:
    """Compose the note; the draft is checked first, so any agent's draft may come in.

    Args:
        draft: Sections, evidence, triage and notices.
        link_hosts: Hosts links may point to; every other address is taken out of the text.

    Returns:
        An enhancement of at most ``MAX_WORDS`` words: the longest sections lose their last claims first.
    """
    checked = check_draft(draft)
    body = tuple(_blocks(checked, link_hosts))
    while word_count(body) > MAX_WORDS and (shorter := _without_last_claim(checked)) is not None:
        checked = check_draft(shorter)
        body = tuple(_blocks(checked, link_hosts))
    return Enhancement(body=_cut(body))


def word_count(body: tuple[Block, ...]) -> int:
    """Return the number of white-space separated words that a reader sees."""
    return sum(len(text.split()) for block in body for text in _texts(block))


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
        triage = _triage_items(draft.triage) if kind == "triage" else []
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
    if draft.notices:
        yield Heading("Not available")
        yield ListBlock(tuple(_safe(n, link_hosts) for n in draft.notices))


def _section_blocks(section: NoteSection, link_hosts: Collection[str]) -> Iterator[Block]:
    items: list[str] = []
    for claim in section.claims:
        lead, code = _parted(claim, link_hosts)
        items.append(lead)
        if code is not None:
            yield ListBlock(tuple(items), ordered=section.kind == "next_steps")
            yield code
            items = []
    if items and section.kind == "summary":
        yield from (Paragraph(item) for item in items)
    elif items:
        yield ListBlock(tuple(items), ordered=section.kind == "next_steps")


def _parted(claim: Claim, link_hosts: Collection[str]) -> tuple[str, Code | None]:
    lead, fence, rest = claim.text.partition("```")
    language, _, code = rest.partition("\n")
    marks = "".join(f"[{n}]" for n in claim.citations)
    text = _safe(lead, link_hosts) or "Command"
    line = f"{text} {marks}" if marks else SUGGESTION + text
    if not fence:
        return line, None
    body = without_foreign_links(clean_text(code.partition("```")[0], keep_lines=True), link_hosts)
    return line, Code(body, language.strip() or None)


def _triage_items(triage: Triage | None) -> list[str]:
    if triage is None or triage.votes < TRIAGE_MIN_VOTES:
        return []
    items = []
    if triage.category and triage.category_confidence >= TRIAGE_MIN_CONFIDENCE:
        category = clean_text(triage.category)
        items.append(f"Category: {category} ({triage.category_confidence:.0%} of {triage.votes} similar tickets)")
    if triage.priority and triage.priority_confidence >= TRIAGE_MIN_CONFIDENCE:
        items.append(f"Priority: {triage.priority} ({triage.priority_confidence:.0%} of {triage.votes} similar tickets)")
    return items


def _source(number: int, evidence: Evidence, link_hosts: Collection[str]) -> str | Link:
    when = f", {evidence.time:%Y-%m-%d}" if evidence.time else ""
    title = _safe(" ".join(evidence.title.split()[:14]), link_hosts)
    label = f"[{number}] {evidence.source} {_safe(evidence.ref, link_hosts)}: {title}{when}"
    if evidence.url and link_allowed(evidence.url, link_hosts):
        return Link(label, evidence.url)
    return label


def _safe(text: str, link_hosts: Collection[str]) -> str:
    return without_foreign_links(clean_text(text), link_hosts)


def _without_last_claim(draft: NoteDraft) -> NoteDraft | None:
    longest = max(draft.sections, key=lambda s: sum(len(c.text.split()) for c in s.claims), default=None)
    if longest is None:
        return None
    sections = tuple(NoteSection(s.kind, s.claims[:-1]) if s is longest else s for s in draft.sections)
    return msgspec.structs.replace(draft, sections=tuple(s for s in sections if s.claims))


def _cut(body: tuple[Block, ...]) -> tuple[Block, ...]:
    """Drop trailing blocks until the note fits; only a flood of notices or one huge code block gets here."""
    while len(body) > 1 and word_count(body) > MAX_WORDS:
        body = body[:-1]
    return body


def _texts(block: Block) -> list[str]:
    match block:
        case ListBlock(items=items):
            return [item.text if isinstance(item, Link) else item for item in items]
        case _:
            return [block.text]


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(text=text, level=level):
            yield f"\n{text}"
            yield ("=" if level == 1 else "-") * len(text)
        case ListBlock(items=items, ordered=ordered):
            for number, item in enumerate(items, 1):
                mark = f"{number}." if ordered else "-"
                yield f"{mark} {item.text} <{item.url}>" if isinstance(item, Link) else f"{mark} {item}"
        case Link(text=text, url=url):
            yield f"{text} <{url}>"
        case Code(text=text):
            yield from (f"    {line}" for line in text.splitlines())
        case _:
            yield block.text
