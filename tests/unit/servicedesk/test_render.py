"""Notes are rendered to HTML purely, and everything in them stays text."""

from html.parser import HTMLParser

import pytest

from aiops_core.markers import new_reference, shown
from aiops_core.testing.ticketing import HOSTILE_TEXTS
from aiops_core.ticketing import EffectMarker
from aiops_core.tickets import Code, Enhancement, Heading, Link, ListBlock, Paragraph
from aiops_servicedesk.html_text import html_to_text
from aiops_servicedesk.render import footer_for, footer_of, render

MARKER = EffectMarker(reference=new_reference(), installation="main")
FOOTER = f"<p>Reference: {shown(MARKER.reference)} (main)</p>"


def carries(text: str, marker: EffectMarker) -> bool:
    """Return whether the text is that of the marker's note."""
    return footer_of(text) == footer_for(marker)


class Markup(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, tuple(attrs)))

    def handle_comment(self, data: str) -> None:
        """Keep a comment as a tag."""
        self.tags.append(("!", ()))


def test_every_block_has_its_markup() -> None:
    """Headings, paragraphs, lists, code and links become the HTML a note shows."""
    body = (
        Heading("Title", level=1),
        Heading("Part"),
        Paragraph("one\ntwo"),
        ListBlock(("a", Link("b", "https://kb.example/1?x=1&y=2"))),
        ListBlock(("first",), ordered=True),
        ListBlock(("second",), ordered=True, start=2),
        Code("if a < b:\n  stop", "python"),
        Link("Runbook", "https://kb.example/2"),
    )
    assert render(Enhancement(body=body), MARKER) == (
        "<h3>Title</h3><h4>Part</h4><p>one<br>two</p>"
        '<ul><li>a</li><li><a href="https://kb.example/1?x=1&amp;y=2">b</a></li></ul><ol><li>first</li></ol>'
        '<ol start="2"><li>second</li></ol>'
        '<pre>if a &lt; b:\n  stop</pre><p><a href="https://kb.example/2">Runbook</a></p>' + FOOTER
    )


def test_rendering_is_pure() -> None:
    """The same blocks and marker give the same text every time."""
    note = Enhancement(body=(Heading("H"), Paragraph("p")))
    assert render(note, MARKER) == render(note, MARKER)


@pytest.mark.parametrize(
    "hostile", [*HOSTILE_TEXTS, '"><img src=x>', "</p><script>x</script>", "<!-- x -->", "&lt;b&gt;"]
)
def test_hostile_text_stays_text(hostile: str) -> None:
    """Text brings no tag and no attribute of its own, wherever it stands, and reads as it was."""
    blocks = (
        Heading(hostile),
        Paragraph(hostile),
        ListBlock((hostile, Link(hostile, "https://kb.example/"))),
        Code(hostile),
    )
    html = render(Enhancement(body=blocks), MARKER)
    assert [tag for tag, _ in Markup(html).tags] == ["h4", "p", "ul", "li", "li", "a", "pre", "p"]
    assert [attrs for _, attrs in Markup(html).tags if attrs] == [(("href", "https://kb.example/"),)]
    assert " ".join(html_to_text(html).split()).count(" ".join(hostile.split())) == 5


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "file:///etc/passwd", "https://", "http://[x", ""],
)
def test_only_web_addresses_become_links(url: str) -> None:
    """A link to anything but http and https is shown as its text."""
    html = render(Enhancement(body=(Link("see", url), ListBlock((Link("there", url),)))), MARKER)
    assert html == "<p>see</p><ul><li>there</li></ul>" + FOOTER


def test_a_quotation_mark_ends_no_address() -> None:
    """An address cannot add an attribute."""
    html = render(Enhancement(body=(Link("x", 'https://kb.example/" onclick="alert(1)'),)), MARKER)
    assert [attrs for tag, attrs in Markup(html).tags if tag == "a"] == [
        (("href", 'https://kb.example/" onclick="alert(1)'),)
    ]


def test_what_databases_cannot_store_is_left_out() -> None:
    """Control characters and lone surrogates do not reach the product; line breaks and tabs do."""
    html = render(Enhancement(body=(Code("a\x00b\x1b[31mc\ud800d\r\ne\tf"),)), MARKER)
    assert html == "<pre>ab[31mcd\ne\tf</pre>" + FOOTER


def test_the_reference_is_found_again() -> None:
    """A rendered note carries its marker, also after someone wrote below it."""
    text = html_to_text(render(Enhancement(body=(Paragraph("x"),)), MARKER))
    assert carries(text, MARKER)
    assert carries(text + "\nThanks, that was it. Tom", MARKER)
    assert not carries(text, EffectMarker(reference=new_reference(), installation="main"))


def test_a_quoted_reference_is_not_the_notes_own() -> None:
    """A note that quotes another's reference, or its footer, carries only the one at its own end."""
    other = EffectMarker(reference=new_reference(), installation="main")
    quoting = f"See {shown(other.reference)}.\nReference: {shown(other.reference)} (main)"
    text = html_to_text(render(Enhancement(body=(Paragraph(quoting), Code(quoting))), MARKER))
    assert carries(text, MARKER)
    assert not carries(text, other)


@pytest.mark.parametrize("name", ["main", "eu-1.prod_2", "Größe (1)", "x" * 300, "", "a b"])
def test_the_installation_belongs_to_the_reference(name: str) -> None:
    """Whatever an installation is called, its notes are told from another's."""
    marker = EffectMarker(reference=MARKER.reference, installation=name)
    text = html_to_text(render(Enhancement(body=(Paragraph("x"),)), marker))
    assert carries(text, marker)
    assert not carries(text, EffectMarker(reference=MARKER.reference, installation="another"))
