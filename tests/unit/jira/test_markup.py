"""Jira's three kinds of rich text, read to plain text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_jira.markup import MAX_TEXT, body_text, plain_text


def doc(*content: Any) -> dict[str, Any]:
    """Return an ADF document."""
    return {"type": "doc", "version": 1, "content": list(content)}


def text(value: str, *marks: dict[str, Any]) -> dict[str, Any]:
    """Return an ADF text node."""
    return {"type": "text", "text": value, **({"marks": list(marks)} if marks else {})}


def block(kind: str, *content: Any, **attrs: Any) -> dict[str, Any]:
    """Return an ADF node."""
    return {"type": kind, "content": list(content), **({"attrs": attrs} if attrs else {})}


LINK = {"type": "link", "attrs": {"href": "https://kb.example.com/1"}}
ADF = doc(
    block("heading", text("Problem"), level=2),
    block("paragraph", text("VPN drops"), {"type": "hardBreak"}, text("since "), text("Monday", {"type": "strong"})),
    block(
        "bulletList",
        block("listItem", block("paragraph", text("laptop"))),
        block("listItem", block("paragraph", text("phone"))),
    ),
    block("codeBlock", text("ping 10.0.0.1\n  timeout"), language="bash"),
    block("paragraph", text("see article", LINK), text(" and "), text("https://kb.example.com/1", LINK)),
    block(
        "table",
        block(
            "tableRow",
            block("tableHeader", block("paragraph", text("host"))),
            block("tableHeader", block("paragraph", text("ip"))),
        ),
        block(
            "tableRow",
            block("tableCell", block("paragraph", text("fs-01"))),
            block("tableCell", block("paragraph", text("10.0.0.5"))),
        ),
    ),
    block("panel", block("paragraph", text("urgent")), panelType="warning"),
    block("mediaSingle", {"type": "media", "attrs": {"type": "file", "alt": "screen.png"}}),
    block(
        "paragraph",
        {"type": "mention", "attrs": {"id": "1", "text": "@Dana"}},
        {"type": "emoji", "attrs": {"shortName": ":fire:", "text": "🔥"}},
        {"type": "inlineCard", "attrs": {"url": "https://x.example/1"}},
        {"type": "date", "attrs": {"timestamp": "1772442000000"}},
        {"type": "status", "attrs": {"text": "OPEN"}},
    ),
    block("expand", block("paragraph", text("inside")), title="More"),
    block("someday", block("paragraph", text("unknown kinds keep their text"))),
)
ADF_READ = """Problem
VPN drops
since Monday
- laptop
- phone
ping 10.0.0.1
  timeout
see article (https://kb.example.com/1) and https://kb.example.com/1
host | ip
fs-01 | 10.0.0.5
urgent
(file screen.png)
@Dana🔥https://x.example/12026-03-02OPEN
More
inside
unknown kinds keep their text"""


def test_document_is_read_in_its_lines() -> None:
    """Every kind of ADF node is read to the line a person sees."""
    assert body_text(ADF) == ADF_READ


def test_document_in_a_string_is_read_too() -> None:
    """An ADF document that arrives as its JSON text is read as a document."""
    assert body_text(json.dumps(ADF)) == ADF_READ
    assert body_text('{"type": "doc", broken').startswith('{"type": "doc"')


@pytest.mark.parametrize("body", [None, "", {}, [], 7, True, doc(), doc(None, "x", 7), {"type": "doc", "content": "x"}])
def test_nothing_reads_as_nothing(body: Any) -> None:
    """What is no text, or a document of none, reads as the empty text."""
    assert body_text(body) == ""


def test_endless_nesting_ends() -> None:
    """A document nested thousands deep is read as far as any person would."""
    node: Any = text("bottom")
    for _ in range(5_000):
        node = block("blockquote", node)
    assert body_text(doc(block("paragraph", text("top")), node)) == "top"


WIKI = """h1. What happens
The *scanner* does not send. See [the article|https://kb.example.com/2] or [https://kb.example.com/3].
bq. It worked on Friday
{quote}quoted{quote}
# open lid
## press *red* button
* fs_01_a stays, 2*3*4 stays, C:\\\\temp stays
----
||host||ip||
|fs-01|10.0.0.5|
{code:java|title=x}
if (a[0] > *b*) { h1. not a heading }
{code}
{noformat}[raw|text]{noformat}
!screen.png|thumbnail! [^log.txt] [~accountid:5b10] {{systemctl}} {color:red}red{color}
escaped \\*star\\* \\[bracket\\] &amp; &#91;"""
WIKI_READ = """What happens
The scanner does not send. See the article (https://kb.example.com/2) or https://kb.example.com/3.
It worked on Friday
quoted
- open lid
- press red button
- fs_01_a stays, 2*3*4 stays, C:\\\\temp stays

host | ip
fs-01 | 10.0.0.5

if (a[0] > *b*) { h1. not a heading }

[raw|text]
(file screen.png) (file log.txt) @5b10 systemctl red
escaped *star* [bracket] & ["""


def test_wiki_markup_is_read() -> None:
    """Wiki markup reads as what it shows; code and names with marks inside stay to the letter."""
    assert body_text(WIKI) == WIKI_READ


HTML = """<html><head><title>t</title><style>p {color: red}</style></head><body>
<p>Hello &amp; <b>good</b> morning,<br>the   printer<script>alert(1)</script> fails.</p>
<ul><li>lid &lt;open&gt;</li><li>paper</li></ul>
<table><tr><td>host</td><td>fs-01</td></tr></table>
<pre>line 1
  line 2</pre></body></html>"""


def test_html_is_read() -> None:
    """HTML, as mail gateways leave it, reads as what it shows, without scripts and styles."""
    assert body_text(HTML) == (
        "Hello & good morning,\nthe printer fails.\n- lid <open>\n- paper\nhost | fs-01\nline 1\n  line 2"
    )


def test_plain_text_with_angle_brackets_is_not_html() -> None:
    """A log with angle brackets loses nothing."""
    log = "2026-03-01 ERROR <init> failed: List<String> at <unknown>\n<stack omitted>"
    assert body_text(log) == log


def test_windows_line_ends_and_nul_are_gone() -> None:
    """Line ends become one kind, NUL (which PostgreSQL refuses) and trailing blanks are dropped."""
    assert body_text("a  \r\nb\x00c\rd\n\n\n\ne") == "a\nbc\nd\n\ne"


def test_summary_is_not_markup() -> None:
    """A summary is plain text: its brackets and stars stay."""
    assert plain_text(" [urgent|now] *VPN*\n down ") == "[urgent|now] *VPN* down"
    assert plain_text({"type": "doc"}) == ""


def test_length_is_bounded() -> None:
    """A body of megabytes is cut."""
    assert len(body_text("word " * MAX_TEXT)) <= MAX_TEXT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "content", "text", "attrs", "marks", "href"]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_read(body: Any) -> None:
    """Whatever JSON stands in a body's place, reading it answers a text."""
    assert isinstance(body_text(body), str)
