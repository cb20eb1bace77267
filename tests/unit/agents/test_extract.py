"""Quoting: words, sentences and procedures taken from records."""

import pytest
from tests.unit.agents.records import ARTICLE, CABLE, SERVER, SPOOLER, TICKET, changed

from aiops_agents import extract
from aiops_agents.articles import procedures
from aiops_agents.words import likeness, sentences, stem, terms
from aiops_core import Evidence, compose, plain_text
from aiops_core.tickets import NoteDraft


@pytest.mark.parametrize(
    "words", [("print", "printing", "printers", "printed"), ("drucker", "druckern"), ("change", "changed", "changes")]
)
def test_inflections_share_a_stem(words: tuple[str, ...]) -> None:
    """Forms of one word are one term, in English and in German."""
    assert len({stem(word) for word in words}) == 1


def test_terms_say_what_a_text_is_about() -> None:
    """Function words and courtesies of both languages, e-mail and web addresses are no terms; machine names are."""
    text = "Hello, please help: ess-hdb01 has an issue. Bitte um Hilfe, danke! dana@x.example https://a.example/b"
    assert terms(text) == {"ess-hdb01", "ess", "hdb01"}


def test_likeness_is_a_share() -> None:
    """Texts of the same terms are wholly alike, texts of different or of no terms not at all."""
    assert likeness(terms("printer offline"), terms("The printer is offline")) == 1.0
    assert likeness(terms("printer"), terms("aquarium")) == 0.0
    assert likeness(terms(""), terms("aquarium")) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Set 10.0.0.1 as gateway. Done.", ["Set 10.0.0.1 as gateway.", "Done."]),
        ("See e.g. the log. Then stop.", ["See e.g. the log.", "Then stop."]),
        ('It says "No store. Saved locally" there. Next.', ['It says "No store. Saved locally" there.', "Next."]),
        ("# Heading\n- first\n2. **second**\n```\ncode here\n```\nlast", ["first", "second", "last"]),
        ("", []),
    ],
)
def test_sentences_are_parted(text: str, expected: list[str]) -> None:
    """Sentences end where people end them; headings and code are none, lists and bold marks lose their marks."""
    assert sentences(text) == expected


def test_procedures_keep_their_commands_and_their_kind() -> None:
    """Lists of an article are found with heading, order, nested items and the commands under a step."""
    text = (
        "# A\nintro\n1. One:\n\n```\nrun me\n```\n\n2. Two\n   - deep\n   - deeper\n\n## B\n- x\n- y\n\ntext\n- alone"
    )
    first, second = procedures(text)
    assert (first.heading, first.numbered, second.heading, second.numbered) == ("A", True, "B", False)
    assert [(item.text, item.command) for item in first.items] == [("One:", "run me"), ("Two; deep; deeper", None)]
    assert [item.text for item in second.items] == ["x", "y"]


def test_a_command_too_long_is_left_out_whole() -> None:
    """Half a script is worse than none: a long one is not quoted."""
    code = "\n".join(f"line {n}" for n in range(30))
    (procedure,) = procedures(f"1. Run:\n```\n{code}\n```\n2. Look")
    assert procedure.items[0].command is None


def test_a_resolution_is_quoted_from_its_start() -> None:
    """The cause comes first and is quoted whole; what does not fit is cut with a mark."""
    text = "The spooler had stopped. Restarted it. " + "Then we wrote a very long report about everything. " * 5
    quote = extract.leading(text, words=12)
    assert quote.startswith("The spooler had stopped. Restarted it.")
    assert quote.endswith("…")
    assert len(quote.split()) <= 13


def test_the_closest_fix_is_quoted_whole() -> None:
    """A long resolution of the closest ticket goes on in a second claim; of the others the beginning is enough."""
    sentence = "Step {} was to look at one more thing behind the desk until it was found."
    long = " ".join(sentence.format(n) for n in range(5))
    section = extract.similar(extract.numbered([changed(SPOOLER, resolution=long), changed(CABLE, resolution=long)]))
    assert section is not None
    first, more, other = section.claims
    assert [first.citations, more.citations, other.citations] == [(1,), (1,), (2,)]
    assert all(f"Step {n} was" in first.text + more.text for n in range(5))
    assert "…" not in first.text + more.text
    assert "Step 2 was" not in other.text
    assert all(len(claim.text.split()) <= 60 for claim in section.claims)


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("We restarted the spooler.", "Restarted the spooler."),
        ("I've cleared the queue.", "Cleared the queue."),
        ("Wir haben den Dienst neu gestartet.", "Den Dienst neu gestartet."),
        ("I had to drive there.", "I had to drive there."),
        ("West wing was down.", "West wing was down."),
        ("See [3] for error [-15].", "See (3) for error [-15]."),
    ],
)
def test_quotes_speak_for_nobody(said: str, quoted: str) -> None:
    """Who did it is left out of a quote, so that it cannot read as this note's deed; brackets with numbers are changed."""
    assert extract.sentences(said) == [quoted]


def test_next_steps_name_the_past_cause_first() -> None:
    """The first step is to check the cause of the closest past ticket, then the article's steps with their command."""
    section = extract.next_steps(TICKET.text, extract.numbered([SPOOLER, ARTICLE]))
    assert section is not None
    first, *others = section.claims
    assert first.text.startswith("Check whether it is the same as in T-101: The spooler on PRT02 had stopped")
    assert first.citations == (1,)
    assert [claim.text.partition("\n")[0] for claim in others] == [
        "Look at the queue on PRT02.",
        "Restart the spooler:",
        "Print a test label.",
    ]
    assert "Restart-Service Spooler" in others[1].text
    assert {claim.citations for claim in others} == {(2,)}


def test_an_unresolved_ticket_offers_no_fix() -> None:
    """A past ticket without a resolution is no fix and no cause."""
    open_ticket = extract.numbered([changed(SPOOLER, resolution=None)])
    assert extract.similar(open_ticket) is None
    assert extract.next_steps(TICKET.text, open_ticket) is None
    assert extract.summary(TICKET.text, open_ticket) is not None


def test_every_quoted_claim_survives_the_check() -> None:
    """Nothing the extraction says is dropped when the note is composed."""
    items = extract.numbered([SPOOLER, CABLE, ARTICLE, SERVER])
    sections = [
        extract.summary(TICKET.text, items),
        extract.similar(items),
        extract.documentation(TICKET.text, items),
        extract.systems(items),
        extract.next_steps(TICKET.text, items),
    ]
    draft = NoteDraft(tuple(s for s in sections if s), tuple(n.item for n in items))
    text = plain_text(compose(draft))
    for section in draft.sections:
        for claim in section.claims:
            assert " ".join(claim.text.partition("```")[0].split()) in text


@pytest.mark.parametrize("text", ["", "\x00", "[1][2]", ">>>", "#", "```", "1.", "." * 500, "a" * 5000, "[" * 500])
def test_odd_records_are_quoted_or_left_out(text: str) -> None:
    """Whatever stands in a record, quoting it neither fails nor loses its citation."""
    odd = Evidence(source="ticket", ref="x", title=text, text=text, resolution=text)
    items = extract.numbered([odd, changed(odd, source="article"), changed(odd, source="asset")])
    made = [
        extract.summary(text, items),
        extract.similar(items),
        extract.documentation(text, items),
        extract.systems(items),
        extract.next_steps(text, items),
    ]
    draft = NoteDraft(tuple(s for s in made if s), tuple(n.item for n in items))
    assert all(claim.citations for section in draft.sections for claim in section.claims)
    assert len(plain_text(compose(draft)).split()) <= 500
