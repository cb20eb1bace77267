"""Composing the note from a draft."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_core import (
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
    Triage,
    compose,
    plain_text,
)
from aiops_core.compose import FOOTER_WORDS, HEADINGS, MAX_WORDS, NOTHING_FOUND, SUGGESTION, TITLE, word_count
from aiops_core.drafts import SECTION_ORDER
from aiops_core.tickets import SectionKind

HOSTS = ("kb.example.com",)
ARTICLE = Evidence(
    source="article", ref="KB-12", title="VPN: unstable connection", text="t", url="https://kb.example.com/12"
)
TICKET = Evidence(
    source="ticket",
    ref="4102",
    title="VPN drops",
    text="t",
    time=datetime(2026, 1, 5, tzinfo=UTC),
    url="https://evil.example/",
)


def note(*sections: tuple[SectionKind, list[Claim]], evidence: tuple[Evidence, ...] = (ARTICLE, TICKET)) -> Enhancement:
    """Compose a note of the sections."""
    return compose(NoteDraft(tuple(NoteSection(k, tuple(c)) for k, c in sections), evidence=evidence), link_hosts=HOSTS)


def shown_texts(enhancement: Enhancement) -> list[str]:
    """Return every text of a note but its code."""
    texts: list[str] = []
    for block in enhancement.body:
        if isinstance(block, ListBlock):
            texts += [entry.text if isinstance(entry, Link) else entry for entry in block.items]
        elif not isinstance(block, Code):
            texts.append(block.text)
    return texts


def test_note_is_composed_in_order() -> None:
    """A note has its title, each section under its heading, the numbered sources and what was not available."""
    draft = NoteDraft(
        (
            NoteSection("next_steps", (Claim("Lower the MTU.", (1,)), Claim("Restart the client."))),
            NoteSection("similar", (Claim("4102 was the same.", (2,)),)),
            NoteSection("summary", (Claim("The VPN drops.", (2, 1)),)),
        ),
        evidence=(ARTICLE, TICKET),
        triage=Triage(category="Network", category_confidence=0.8, priority="high", priority_confidence=0.6, votes=5),
        notices=("The assets could not be read.",),
    )
    assert compose(draft, link_hosts=HOSTS).body == (
        Heading(TITLE, level=1),
        Heading("What this is about"),
        Paragraph("The VPN drops. [1][2]"),
        Heading("Similar tickets and what fixed them"),
        ListBlock(("4102 was the same. [1]",)),
        Heading("Suggested triage"),
        ListBlock(("Category: Network (80% of 5 similar tickets)", "Priority: high (60% of 5 similar tickets)")),
        Heading("Next steps"),
        ListBlock(("Lower the MTU. [2]", SUGGESTION + "Restart the client."), ordered=True),
        Heading("Sources"),
        ListBlock(
            (
                "[1] ticket 4102: VPN drops, 2026-01-05",
                Link("[2] article KB-12: VPN: unstable connection", "https://kb.example.com/12"),
            )
        ),
        Heading("Not available"),
        ListBlock(("The assets could not be read.",)),
    )


def test_note_without_evidence_says_so() -> None:
    """A note that cites nothing says that nothing was found to cite, and still has the suggestions."""
    body = note(("next_steps", [Claim("Restart.")]), ("summary", [Claim("Uncited.")]), evidence=()).body
    assert body == (
        Heading(TITLE, level=1),
        Paragraph(NOTHING_FOUND),
        Heading("Next steps"),
        ListBlock((SUGGESTION + "Restart.",), ordered=True),
    )


def test_any_draft_is_checked_first() -> None:
    """Citations to nothing, uncited statements and deeds do not reach the note, whoever made the draft."""
    text = plain_text(
        note(
            ("summary", [Claim("Cited [9]"), Claim("Mine [1]")]),
            ("next_steps", [Claim("I closed it."), Claim("Go [7].")]),
        )
    )
    assert "Cited" not in text
    assert "closed" not in text
    assert "Mine [1]" in text
    assert SUGGESTION + "Go." in text


def test_link_taken_out_leaves_no_citation() -> None:
    """A number that only stands in brackets once a link is taken out is not shown as a citation."""
    text = plain_text(note(("summary", [Claim("Odd 【![](9)】 end", (1,))])))
    assert "Odd end [1]" in text


@pytest.mark.parametrize(
    ("fence", "code"),
    [
        ("```powershell\nGet-Item a\n  Get-Item b\n```", Code("Get-Item a\n  Get-Item b", "powershell")),
        ("```\nipconfig /all\n```", Code("ipconfig /all")),
        ("```ipconfig /all```", Code("ipconfig /all")),
        ("```ipconfig\n```", Code("ipconfig")),
        ("```ping a\nping b", Code("ping a\nping b")),
        ("```{code:title=x}\na[0] [9]\n```", Code("{code:title=x}\na[0] [9]")),
        ("```\ncurl https://evil.example/x\n```", Code("curl (link removed)")),
        ("```\n\u202eevil\x1b[31m\n```", Code("evil[31m")),
    ],
)
def test_code_becomes_a_block(fence: str, code: Code) -> None:
    """Code between fences becomes a block of its own, lines kept, with a language only if it is a word."""
    body = note(("next_steps", [Claim("First."), Claim(f"Run this:\n{fence}", (1,)), Claim("Last.")])).body
    assert body[2:5] == (
        ListBlock((SUGGESTION + "First.", "Run this: [1]"), ordered=True),
        code,
        ListBlock((SUGGESTION + "Last.",), ordered=True, start=3),
    )


def test_bare_code_gets_a_lead_and_empty_code_no_block() -> None:
    """Code without a sentence is introduced, and a fence around nothing gives no block."""
    assert note(("next_steps", [Claim("```\nls\n```", (1,))])).body[2:4] == (
        ListBlock(("Command [1]",), ordered=True),
        Code("ls"),
    )
    assert not [b for b in note(("next_steps", [Claim("Run\n```\n\n```", (1,))])).body if isinstance(b, Code)]


def test_long_code_is_cut_at_a_line() -> None:
    """A pasted log is cut at a line and marked, and the sentences around it stay."""
    log = "\n".join(f"{n} one two three four" for n in range(500))
    body = note(
        ("summary", [Claim("Before.", (1,)), Claim(f"Log:\n```\n{log}\n```", (1,)), Claim("After.", (1,))])
    ).body
    (code,) = [block for block in body if isinstance(block, Code)]
    assert code.text.startswith("0 one two three four\n1 one")
    assert code.text.endswith("four\n…")
    assert {"Before. [1]", "After. [1]"} <= set(shown_texts(Enhancement(body=body)))


def test_only_listed_hosts_are_linked() -> None:
    """Addresses off the list leave every part of the note; links point to listed hosts only."""
    evil = "see https://evil.example/x"
    draft = NoteDraft(
        (
            NoteSection("summary", (Claim(evil, (1, 2)),)),
            NoteSection("next_steps", (Claim(f"{evil}\n```\n{evil}\n```"),)),
        ),
        evidence=(
            Evidence(source=evil, ref=evil, title=evil, text="t", url="https://evil.example\\.kb.example.com"),
            Evidence(source="article", ref="1", title="Good", text="t", url="https://kb.example.com/1"),
        ),
        triage=Triage(category=evil, category_confidence=1.0, votes=9),
        notices=(evil,),
    )
    enhancement = compose(draft, link_hosts=HOSTS)
    assert "evil.example" not in plain_text(enhancement)
    assert [e.url for b in enhancement.body if isinstance(b, ListBlock) for e in b.items if isinstance(e, Link)] == [
        "https://kb.example.com/1"
    ]
    assert "kb.example.com" not in plain_text(compose(draft))


@pytest.mark.parametrize(
    ("triage", "items"),
    [
        (Triage(category="Network", category_confidence=0.9, votes=2), 0),
        (Triage(category="Network", category_confidence=0.49, votes=9), 0),
        (Triage(category="Network", category_confidence=0.5, votes=3), 1),
        (Triage(priority="high", priority_confidence=0.7, votes=3), 1),
        (Triage(category="", category_confidence=0.9, votes=9), 0),
        (None, 0),
    ],
)
def test_triage_is_shown_only_when_it_means_something(triage: Triage | None, items: int) -> None:
    """A suggestion needs three votes and half of them."""
    body = compose(NoteDraft((), triage=triage)).body
    assert (Heading("Suggested triage") in body) == bool(items)
    assert sum(len(block.items) for block in body if isinstance(block, ListBlock)) == items


def test_too_long_note_loses_last_claims_first() -> None:
    """Over the limit, the longest section loses its last claim, and every section keeps its first."""
    long = [Claim(f"Claim {n}: " + "word " * 40, (1,)) for n in range(12)]
    enhancement = note(("summary", [Claim("Short.", (2,))]), ("similar", long), ("next_steps", [Claim("Step.", (1,))]))
    text = plain_text(enhancement)
    assert len(text.split()) <= MAX_WORDS - FOOTER_WORDS
    assert "Short. [1]" in text
    assert "Step. [2]" in text
    assert "Claim 0:" in text
    assert "Claim 11:" not in text
    assert len(text.split()) > MAX_WORDS * 0.8


def test_flood_of_claims_and_notices_is_bounded() -> None:
    """Claims that do not pass the check take no place from those that do, and long notices leave room for the note."""
    flood = [Claim(f"Uncited {n}.") for n in range(50)]
    draft = NoteDraft(
        (NoteSection("summary", (*flood, Claim("Cited.", (1,)))),),
        evidence=(ARTICLE,),
        notices=tuple(f"Tool {n} failed: " + "because " * 100 for n in range(40)),
    )
    text = plain_text(compose(draft))
    assert "Cited. [1]" in text
    assert "Tool 0 failed" in text
    assert len(text.split()) <= MAX_WORDS - FOOTER_WORDS


def test_a_notice_of_whole_sentences_is_not_cut() -> None:
    """What was not available is said to its end beside three others; a notice without end is cut after 60 words."""
    long = (
        "No language model was asked: what is left of the monthly budget for language models (2,000,000 tokens, "
        "50.00 USD) until 2026-12-01 does not cover another call; an administrator can raise it. This note lists what "
        "the records say, without AI text."
    )
    others = ("The assets could not be read.", "The documentation could not be read.", "word " * 500)
    lines = plain_text(compose(NoteDraft((), notices=(*others, long)))).splitlines()
    assert f"- {long}" in lines
    assert f"- {'word ' * 60}…" in lines


def test_plain_text_shows_every_block() -> None:
    """As plain text headings are underlined, items marked, links followed by their address and code indented."""
    body = (
        Heading("Title", level=1),
        Paragraph("Words."),
        Heading("Part"),
        ListBlock(("a", Link("b", "https://kb.example.com/")), ordered=True),
        ListBlock(("c",)),
        Code("x\n y"),
        Link("d", "https://kb.example.com/d"),
    )
    assert plain_text(Enhancement(body=body)) == (
        "Title\n=====\nWords.\n\nPart\n----\n1. a\n2. b <https://kb.example.com/>\n- c\n    x\n     y\nd <https://kb.example.com/d>"
    )
    assert word_count(body) == len(plain_text(Enhancement(body=body)).split())


TEXTS = st.one_of(
    st.text(max_size=40),
    st.integers(0, 300).map(lambda n: "word " * n),
    st.integers(0, 300).map(lambda n: "Run:\n```\n" + "a b c\n" * n + "```"),
    st.sampled_from(
        ["see https://evil.example/ [3]", "[![](7)]", "I have closed it.", "[a](https://kb.example.com/x)", "[[1]9]"]
    ),
)
CLAIMS = st.builds(Claim, TEXTS, st.lists(st.integers(-1, 45), max_size=30).map(tuple))
EVIDENCE = st.builds(
    Evidence,
    source=TEXTS,
    ref=TEXTS,
    title=TEXTS,
    text=TEXTS,
    url=st.sampled_from([None, "https://kb.example.com/", "http://evil.example"]),
)
DRAFTS = st.builds(
    NoteDraft,
    st.lists(
        st.builds(NoteSection, st.sampled_from(SECTION_ORDER), st.lists(CLAIMS, max_size=20).map(tuple)), max_size=6
    ).map(tuple),
    evidence=st.lists(EVIDENCE, max_size=40).map(tuple),
    triage=st.one_of(st.none(), st.builds(Triage, category=TEXTS, category_confidence=st.just(1.0), votes=st.just(7))),
    notices=st.lists(TEXTS, max_size=40).map(tuple),
)


@given(DRAFTS)
def test_note_keeps_its_promises(draft: NoteDraft) -> None:
    """Any draft gives at most 500 words, footer included; citations have a source, statements a citation or a mark."""
    enhancement = compose(draft, link_hosts=HOSTS)
    text = plain_text(enhancement)
    assert len(text.split()) <= MAX_WORDS - FOOTER_WORDS
    assert "evil.example" not in text
    _assert_cited(enhancement)


def _assert_cited(enhancement: Enhancement) -> None:
    part, claims, sources = "", [], 0
    for block in enhancement.body:
        if isinstance(block, Heading):
            part = block.text
        elif isinstance(block, ListBlock) and part == "Sources":
            sources = len(block.items)
        elif part in HEADINGS.values() and isinstance(block, Paragraph | ListBlock):
            items = block.items if isinstance(block, ListBlock) else (block.text,)
            claims += [(part, item) for item in items if isinstance(item, str)]
    for part, item in claims:
        if item.startswith("Category: "):
            continue
        marks = re.search(r"((?:\[\d+\])+)$", item)
        numbers = [int(n) for n in re.findall(r"\d+", marks[1])] if marks else []
        assert all(1 <= n <= sources for n in numbers)
        assert numbers or (part == HEADINGS["next_steps"] and item.startswith(SUGGESTION))
        assert not re.search(r"\[\d+\]", item[: marks.start()] if marks else item)
