"""The note in Jira's two markups."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_core.sanitise import clean_text
from aiops_core.testing.subject import HOSTILE_TEXTS
from aiops_core.tickets import Block, Code, Enhancement, Heading, Link, ListBlock, Paragraph
from aiops_demo.simulators.richtext import adf_error, adf_text, wiki_text
from aiops_jira.markup import body_text
from aiops_jira.render import adf, escaped, wiki

NOTE = Enhancement(
    body=(
        Heading("AI Ops: first findings", level=1),
        Heading("What this is about"),
        Paragraph("The VPN drops.\nSince Monday."),
        ListBlock(("Restart", Link("KB-12", "https://kb.example.com/12"))),
        ListBlock(("First", "Second"), ordered=True),
        ListBlock(("Third", "Fourth"), ordered=True, start=3),
        Code("netsh show\n  all", "bash"),
        Link("Runbook", "https://kb.example.com/run"),
    )
)


def test_cloud_note_is_this_document() -> None:
    """Each block has its ADF node: headings, paragraphs with hard breaks, lists, code and marked links."""

    def paragraph(*content: Any) -> dict[str, Any]:
        return {"type": "paragraph", "content": list(content)}

    def text(value: str, href: str | None = None) -> dict[str, Any]:
        marks = {"marks": [{"type": "link", "attrs": {"href": href}}]} if href else {}
        return {"type": "text", "text": value, **marks}

    def item(*content: Any) -> dict[str, Any]:
        return {"type": "listItem", "content": [paragraph(*content)]}

    assert adf(NOTE) == {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "heading", "attrs": {"level": 3}, "content": [text("AI Ops: first findings")]},
            {"type": "heading", "attrs": {"level": 4}, "content": [text("What this is about")]},
            paragraph(text("The VPN drops."), {"type": "hardBreak"}, text("Since Monday.")),
            {
                "type": "bulletList",
                "content": [item(text("Restart")), item(text("KB-12", "https://kb.example.com/12"))],
            },
            {"type": "orderedList", "content": [item(text("First")), item(text("Second"))]},
            {"type": "orderedList", "attrs": {"order": 3}, "content": [item(text("Third")), item(text("Fourth"))]},
            {"type": "codeBlock", "attrs": {"language": "bash"}, "content": [text("netsh show\n  all")]},
            paragraph(text("Runbook", "https://kb.example.com/run")),
        ],
    }


def test_data_center_note_is_this_markup() -> None:
    """Each block has its wiki markup, parted by empty lines."""
    assert wiki(NOTE) == (
        "h3. AI Ops: first findings\n\nh4. What this is about\n\nThe VPN drops.\nSince Monday.\n\n"
        "* Restart\n* [KB-12|https://kb.example.com/12]\n\n# First\n# Second\n\n3. Third\n4. Fourth\n\n"
        "{code:bash}\nnetsh show\n  all\n{code}\n\n[Runbook|https://kb.example.com/run]"
    )


def test_rendering_is_pure() -> None:
    """The same enhancement gives the same bytes, also after its trip through the database."""
    stored = msgspec.json.decode(msgspec.json.encode(NOTE), type=Enhancement)
    before = copy.deepcopy(NOTE)
    assert msgspec.json.encode(adf(stored)) == msgspec.json.encode(adf(NOTE))
    assert wiki(stored) == wiki(NOTE)
    assert before == NOTE


def words(value: str) -> str:
    """Return the text with white space folded."""
    return " ".join(value.split())


@pytest.mark.parametrize("hostile", HOSTILE_TEXTS)
def test_hostile_text_stays_text(hostile: str) -> None:
    """Markup in any block reads back as itself, in both markups, and adds no node or mark."""
    note = Enhancement(body=(Heading(hostile), Paragraph(hostile), ListBlock((hostile,)), Code(hostile)))
    document = adf(note)
    assert adf_error(document) is None
    assert b'"marks"' not in msgspec.json.encode(document)
    for read in (adf_text(document), body_text(document), wiki_text(wiki(note)), body_text(wiki(note))):
        assert words(read).count(words(hostile)) == 4


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("{code}x{code}", r"\{code\}x\{code\}"),
        ("[~admin] [a|http://evil.example]", r"\[\~admin\] \[a\|http&#58;//evil.example\]"),
        ("*bold* _it_ -no- +in+ ^up^ ~sub~ ??cite??", r"\*bold\* \_it\_ \-no\- \+in\+ \^up\^ \~sub\~ \?\?cite\?\?"),
        ("fs-01_a 2*3 a+b", "fs-01_a 2*3 a+b"),
        ("h1. x\nbq. y\n# z", "h1\\. x\nbq\\. y\n\\# z"),
        ("!http://evil.example/i.png!", r"\!http&#58;//evil.example/i.png\!"),
        (r"\\srv\share \*", r"&#92;&#92;srv&#92;share &#92;\*"),
        ("&#42;x&#42; &amp; a & b", r"&amp;\#42;x&amp;\#42; &amp;amp; a & b"),
        ("(i) (x) :) ;D ok (really)", r"\(i) \(x) &#58;) &#59;D ok (really)"),
        ("mailto:a@b.example javascript:x()", "mailto&#58;a@b.example javascript&#58;x()"),
        ("----", r"\-\-\-\-"),
    ],
)
def test_wiki_escapes(text: str, markup: str) -> None:
    """Macros, mentions, links, images, icons, entities and formatting lose their meaning; names keep their looks."""
    assert escaped(text) == markup
    assert wiki_text(markup) == text


def test_code_cannot_leave_its_block() -> None:
    """A text that closes the block it would stand in stands in the other kind, or loses that one tag."""
    assert wiki(Enhancement(body=(Code("a {noformat} b"),))) == "{code}\na {noformat} b\n{code}"
    assert wiki(Enhancement(body=(Code("a {code} b", "python"),))) == "{noformat}\na {code} b\n{noformat}"
    both = wiki(Enhancement(body=(Code("a {code} *b* {noformat} c"),)))
    assert both == "{code}\na { code} *b* {noformat} c\n{code}"


@pytest.mark.parametrize("language", ["evil}{code", "x" * 40, "a b", ""])
def test_strange_language_is_left_out(language: str) -> None:
    """A language that is no name reaches neither markup."""
    note = Enhancement(body=(Code("x", language),))
    assert adf(note)["content"] == [{"type": "codeBlock", "content": [{"type": "text", "text": "x"}]}]
    assert wiki(note) == "{noformat}\nx\n{noformat}"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://x.example", "//x.example", "https://me@evil.example", "http://[", ""]
)
def test_only_web_addresses_become_links(url: str) -> None:
    """Any other address stands beside the words as text."""
    note = Enhancement(body=(Link("click", url), ListBlock((Link("click", url),))))
    assert b'"href"' not in msgspec.json.encode(adf(note))
    assert adf_text(adf(note)).startswith(f"click ({url})")
    assert "|" not in wiki(note)


def test_link_cannot_leave_its_brackets() -> None:
    """A label or address with wiki's own marks opens no second link."""
    note = Enhancement(body=(Link("a|b] [c", "https://kb.example.com/1"), Link("x", "https://kb.example.com/1|2]")))
    assert wiki(note) == ("[a\\|b\\] \\[c|https://kb.example.com/1]\n\nx (https&#58;//kb.example.com/1\\|2\\])")


TEXT = st.text(alphabet=st.sampled_from("ab1 \n*_-+~^{}[]|!#?\\&;:()./<>@%$\"'ä🛠")) | st.text(max_size=40)
LINKS = st.builds(Link, TEXT, st.sampled_from(["https://kb.example.com/1", "http://x", "javascript:x"]) | TEXT)
BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(Heading, TEXT, st.integers(-3, 12)),
    st.builds(Paragraph, TEXT),
    st.builds(ListBlock, st.lists(TEXT | LINKS, max_size=3).map(tuple), st.booleans()),
    st.builds(Code, TEXT, st.none() | TEXT),
    LINKS,
)


@given(st.lists(BLOCKS, max_size=5).map(lambda body: Enhancement(body=tuple(body))))
def test_any_note_is_a_document_jira_takes(note: Enhancement) -> None:
    """Whatever the blocks hold, empty or odd, the document is well-formed."""
    assert adf_error(adf(note)) is None


@given(TEXT)
def test_escaped_text_reads_as_itself(text: str) -> None:
    """Any text, escaped, shows exactly itself."""
    clean = clean_text(text)
    assert words(wiki_text(escaped(clean))) == words(clean)
