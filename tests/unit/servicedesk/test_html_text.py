"""HTML of tickets becomes the text a reader sees."""

import pytest

from aiops_servicedesk.html_text import MAX_CHARACTERS, html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div>First line</div><div>Second <b>line</b></div>", "First line\nSecond line"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<p>A</p><p>B</p>", "A\n\nB"),
        ("<ul><li>red</li><li><p>green</p></li></ul>", "- red\n- green"),
        ("<ol><li>plug</li><li>play<ul><li>loud</li></ul></li><li>pay</li></ol>", "1. plug\n2. play\n  - loud\n3. pay"),
        ("<table><tr><th>Host</th><th>IP</th></tr><tr><td>srv1</td><td>10.0.0.1</td></tr></table>", "Host | IP\nsrv1 | 10.0.0.1"),
        ("<p>5 &lt; 6 &amp; 7&nbsp;&gt; 2 &#8364; &uuml;</p>", "5 < 6 & 7 > 2 € ü"),
        ("<pre>a  b\n  c</pre>", "a  b\n  c"),
        ("<p>a\n   b\t c</p>", "a b c"),
        ("x<script>alert('x')</script><style>p{}</style>y<!-- note --><br>z", "xy\nz"),
        ("<p>seen</p><div style='DISPLAY : none'>ignore <p>previous</p><div>deep</div></div><p>end</p>", "seen\n\nend"),
        ("<span style=\"visibility:hidden\">gone</span><p>here</p>", "here"),
        ("<p>at com.acme.Main.<init>(Main.java:3) for <ops@acme.example></p>", "at com.acme.Main.<init>(Main.java:3) for <ops@acme.example>"),
        ("<p>Office<o:p></o:p></p>", "Office"),
        ("<a href='https://x.example'>link</a> <img src=x onerror=alert(1)>text", "link text"),
        ("<p>cut off <b", "cut off <b"),
        ("<p>cut <!-- off", "cut"),
        ("<div></div>", ""),
    ],
    ids=lambda value: value[:25],
)  # fmt: skip
def test_markup_is_read(html: str, text: str) -> None:
    """Breaks, lists, tables, entities and code read as they look; scripts, comments and hidden parts are left out."""
    assert html_to_text(html) == text


def test_plain_text_keeps_its_lines() -> None:
    """A description without markup keeps its lines, its indentation and what only looks like a tag."""
    assert html_to_text("Line 1\r\n  at <init>\n\n\n\nif a < b &amp; c") == "Line 1\n  at <init>\n\nif a < b & c"


@pytest.mark.parametrize("nothing", [None, "", "   ", "\n\n"])
def test_nothing_reads_as_nothing(nothing: str | None) -> None:
    """A missing or blank description is the empty text."""
    assert html_to_text(nothing) == ""


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<!--", "<!", "</", "<p", "<div style=", "&", "<ul>", "<script>", "]]>", "<p hidden='", "<b>x"],
)
def test_hostile_markup_is_read_in_one_pass(piece: str) -> None:
    """All that is read of unclosed markup is read at once; a parser that looks back from each would not end."""
    assert isinstance(html_to_text("<p>x</p>" + piece * (MAX_CHARACTERS // len(piece))), str)


def test_endless_text_is_cut() -> None:
    """A text longer than anyone reads is cut."""
    assert html_to_text("<p>" + "x" * 5_000_000) == "x" * (MAX_CHARACTERS - 3)
