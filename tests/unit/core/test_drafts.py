"""Drafts of notes: reading a model's answer and keeping what its evidence carries."""

from __future__ import annotations

import json
import string

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiops_core import Claim, Evidence, NoteDraft, NoteSection, Triage, check_draft, draft_schema, read_draft
from aiops_core.drafts import MAX_CLAIM_CHARACTERS, MAX_CLAIM_WORDS, SECTION_ORDER, without_citations
from aiops_core.sanitise import clean_text
from aiops_core.tickets import SectionKind

ANSWER = {
    "sections": [
        {"kind": "summary", "claims": [{"text": "The VPN drops.", "citations": [1]}]},
        {"kind": "next_steps", "claims": [{"text": "Lower the MTU."}]},
    ]
}
READ = NoteDraft(
    (
        NoteSection("summary", (Claim("The VPN drops.", (1,)),)),
        NoteSection("next_steps", (Claim("Lower the MTU."),)),
    )
)


def item(number: int, text: str = "", resolution: str | None = None) -> Evidence:
    """Return a piece of evidence."""
    return Evidence(source="ticket", ref=str(number), title=f"Ticket {number}", text=text, resolution=resolution)


def draft(*claims: Claim, kind: SectionKind = "summary", evidence: int = 3) -> NoteDraft:
    """Return a draft of one section on numbered evidence."""
    return NoteDraft((NoteSection(kind, claims),), evidence=tuple(item(n) for n in range(1, evidence + 1)))


def flat(result: NoteDraft) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return a draft's claims as kind, text and citations."""
    return [(section.kind, claim.text, claim.citations) for section in result.sections for claim in section.claims]


def checked(*claims: Claim, kind: SectionKind = "summary") -> list[tuple[str, tuple[int, ...]]]:
    """Return the texts and citations that the check keeps of one section."""
    return [(text, citations) for _, text, citations in flat(check_draft(draft(*claims, kind=kind)))]


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(ANSWER),
        json.dumps(ANSWER, indent=2),
        f"```json\n{json.dumps(ANSWER)}\n```",
        f"Here you are:\n```\n{json.dumps(ANSWER)}\n```\nGood luck!",
        f"Sure! {json.dumps(ANSWER)} I hope this helps.",
        json.dumps(ANSWER).replace("[1]", '["1"]'),
    ],
    ids=["bare", "indented", "fenced", "fenced with words", "amid words", "numbers as texts"],
)
def test_structured_answer_is_read(answer: str) -> None:
    """The asked structure is read bare, fenced or amid words."""
    assert read_draft(answer) == READ


def test_structure_with_a_fence_inside_is_read() -> None:
    """A code block within a claim does not end the structure's own fence."""
    answer = {"sections": [{"kind": "next_steps", "claims": [{"text": "Run:\n```\nipconfig /all\n```"}]}]}
    assert flat(read_draft(f"```json\n{json.dumps(answer)}\n```")) == [
        ("next_steps", "Run:\n```\nipconfig /all\n```", ())
    ]


def test_cut_off_structure_gives_its_whole_claims() -> None:
    """An answer cut off by its length limit gives the claims that are whole, and no scrap of JSON."""
    whole = json.dumps(ANSWER)
    for end in range(whole.index(":"), len(whole)):
        texts = [text for _, text, _ in flat(read_draft(whole[:end]))]
        assert texts == ["The VPN drops.", "Lower the MTU."][: len(texts)]
    assert flat(read_draft(whole[: whole.index("Lower")])) == [("summary", "The VPN drops.", (1,))]


def test_structure_of_unknown_parts_is_read_by_their_words() -> None:
    """A section of an invented kind, other orders and raw line breaks do not lose the claims."""
    answer = '{"sections": [{"kind": "Root cause", "claims": [{"citations": [2], "text": "A \\"b\\"\nc"}]},'
    answer += (
        '{"kind": "nextSteps", "claims": [{"text": "Do it."}]}, {"kind": "past_tickets", "claims": [{"text": "P"}]}]}'
    )
    assert flat(read_draft(answer)) == [
        ("summary", 'A \\"b\\"\nc', (2,)),
        ("next_steps", "Do it.", ()),
        ("similar", "P", ()),
    ]


@pytest.mark.parametrize(
    "answer", ['{"sections": []}', '{"sections": [{"kind": "summary", "claims": []}]}', "", "  \n", "{}", "..."]
)
def test_empty_answer_says_nothing(answer: str) -> None:
    """An answer without a claim gives none."""
    assert [claim for claim in flat(read_draft(answer)) if claim[1] != "{}"] == []


def test_deeply_nested_answer_is_survived() -> None:
    """Brackets nested beyond any depth are no error."""
    read_draft('{"sections": ' + "[" * 100_000 + "]" * 100_000 + "}")
    read_draft('{"a":' * 100_000 + "1" + "}" * 100_000)
    read_draft("```json\n" + "\n" * 50_000)


def test_prose_is_read_sentence_by_sentence() -> None:
    """Cited sentences go under the summary, uncited ones under the next steps, wherever the marks stand."""
    text = (
        "The VPN drops [1]. The MTU was too large. [2] Restart it! It helped twice [1][2]. It is e.g. Windows 11 [3]."
    )
    assert flat(read_draft(text)) == [
        ("summary", "The VPN drops.", (1,)),
        ("summary", "The MTU was too large.", (2,)),
        ("summary", "It helped twice.", (1, 2)),
        ("summary", "It is e.g. Windows 11.", (3,)),
        ("next_steps", "Restart it!", ()),
    ]


def test_prose_headings_give_the_section() -> None:
    """Markdown, bold, colon and bare headings lead to their section; an unknown one changes nothing."""
    text = """## Summary
The VPN drops [1].

**Similar tickets:**
- Ticket 4102 had the same cause [1].
On laptops:
- So had 4103 [2].

Relevant documentation
1. The article explains the MTU [3].

### Systems involved
* LAPTOP-0042 [2]

Next steps:
1) Lower the MTU [3].
2) **Restart** the client.

Sources
[1] Ticket 4102. [2] Ticket 4103.
"""
    assert flat(read_draft(text)) == [
        ("summary", "The VPN drops.", (1,)),
        ("similar", "Ticket 4102 had the same cause.", (1,)),
        ("similar", "So had 4103.", (2,)),
        ("documentation", "The article explains the MTU.", (3,)),
        ("systems", "LAPTOP-0042", (2,)),
        ("next_steps", "Lower the MTU.", (3,)),
        ("next_steps", "Restart the client.", ()),
    ]


def test_code_in_prose_belongs_to_its_sentence() -> None:
    """A fenced block stays whole and with the sentence before it; brackets inside it are no citations."""
    text = "Run this [2]:\n```powershell\n$x[0]; echo 'a. b'\n```\n\n```\nalone [9]\n```"
    assert flat(read_draft(text)) == [
        ("summary", "Run this:\n```powershell\n$x[0]; echo 'a. b'\n```", (2,)),
        ("next_steps", "```\nalone [9]\n```", ()),
    ]


@pytest.mark.parametrize(
    ("text", "left", "numbers"),
    [
        ("It drops [1].", "It drops.", (1,)),
        ("It drops[1, 2;3].", "It drops.", (1, 2, 3)),
        ("It drops [2-4] again.", "It drops again.", (2, 3, 4)),
        ("It drops 【3†source】 【^4】.", "It drops.", (3, 4)),
        ("It drops [^2].", "It drops.", (2,)),
        ("It drops [ 7 ].", "It drops.", (7,)),
        ("It drops [[1]2].", "It drops.", (1, 2)),
        ("Match [0-9] or [9-1] or [1-90]", "Match [0-9] or [9-1] or [1-90]", ()),
        ("Keep [this], [1a], [] and (1)", "Keep [this], [1a], [] and (1)", ()),
        ("Run ```a[1]``` now [2]", "Run ```a[1]``` now", (2,)),
        ("Run ```a[1]", "Run ```a[1]", ()),
    ],
)
def test_citation_marks_are_taken_out(text: str, left: str, numbers: tuple[int, ...]) -> None:
    """Numbers in brackets of any usual form are citations; ranges of characters, words and code are not."""
    assert without_citations(text) == (left, numbers)


def test_citations_to_nothing_go() -> None:
    """A citation that no evidence has is removed, and a claim left without one stays only under the next steps."""
    assert checked(Claim("A", (0, 1, 4, -1)), Claim("B", (9,)), Claim("C")) == [("A", (1,))]
    assert checked(Claim("A", (9,)), Claim("B [7]"), Claim("C [2]"), kind="next_steps") == [
        ("A", ()),
        ("B", ()),
        ("C", (1,)),
    ]


def test_hidden_citation_to_nothing_goes_too() -> None:
    """Invisible characters, and marks that only appear when another is taken out, do not carry one through."""
    for text in (
        "A [\u200b9]",
        "A [9\u2060]",
        "A [\u202e9]",
        "A [[7]9]",
        "A [9,\n9]",
        "A \uff3b9] [9\u00ad]",
        "A 【9†\nx】",
    ):
        ((kept, citations),) = checked(Claim(text), kind="next_steps")
        assert citations == ()
        assert not without_citations(clean_text(kept))[1]


def test_evidence_is_renumbered_by_first_citation() -> None:
    """Evidence nobody cites goes, the rest is numbered in the order of its first citation, in the note's order."""
    evidence = tuple(item(n) for n in range(1, 5))
    sections = (
        NoteSection("next_steps", (Claim("Then this.", (4, 1)),)),
        NoteSection("summary", (Claim("First.", (3, 3)), Claim("Second.", (1, 3)))),
    )
    result = check_draft(NoteDraft(sections, evidence=evidence))
    assert [e.ref for e in result.evidence] == ["3", "1", "4"]
    assert flat(result) == [
        ("summary", "First.", (1,)),
        ("summary", "Second.", (1, 2)),
        ("next_steps", "Then this.", (2, 3)),
    ]


@pytest.mark.parametrize(
    "deed",
    [
        "I have reset the password.",
        "I've already restarted the gateway.",
        "I\u2019ve closed it.",
        "We fixed it.",
        "\u201cI sent the user a mail.\u201d",
        "**I** have now gone ahead and restarted it.",
        "VPN is slow. I reset the password.",
        "Ich habe das Passwort zurückgesetzt.",
        "Wir haben den Dienst neu gestartet.",
    ],
)
def test_deed_of_the_model_goes(deed: str) -> None:
    """A first-person claim that something was done is dropped, cited or not."""
    assert checked(Claim(deed), Claim("Stay."), kind="next_steps") == [("Stay.", ())]
    assert checked(Claim(deed, (1,)), Claim("Stay.", (1,))) == [("Stay.", (1,))]


@pytest.mark.parametrize(
    "deed",
    [
        "The user's password has been reset.",
        "The ticket was closed.",
        "Ticket closed.",
        "As requested, I closed the ticket.",
        "Comment posted",
        "Good news: the accounts have now been unlocked.",
    ],
)
def test_uncited_deed_goes_from_the_next_steps(deed: str) -> None:
    """What is said to have been done already is no next step; only evidence can say so."""
    assert checked(Claim(deed), Claim("Stay."), kind="next_steps") == [("Stay.", ())]


def test_cited_fact_stays() -> None:
    """What a cited record says happened is a fact of the records, not a deed of the model."""
    for fact in ("The gateway was restarted.", "Ticket closed.", "When it came back, we changed the MTU."):
        assert checked(Claim(fact, (1,))) == [(fact, (1,))]


@pytest.mark.parametrize(
    "step",
    [
        "We need to restart the gateway.",
        "I indeed suggest a restart.",
        "Check whether the cable has been replaced.",
        "Once the MTU has been changed, restart the client.",
        "Ask the user when the password was reset.",
        "Make sure the VPN service was restarted.",
        "If we changed the firewall last week, undo it.",
        "Reset the password and unlock the account.",
        "Keep the port closed.",
        "Feed the printer.",
    ],
)
def test_suggestion_stays(step: str) -> None:
    """A step to take is kept although it speaks of things done."""
    assert checked(Claim(step), kind="next_steps") == [(step, ())]


def test_quoted_deed_of_the_evidence_stays() -> None:
    """What a cited ticket itself says was done is the evidence's word and stays; uncited or changed it goes."""
    evidence = (item(1, "VPN drops.", "We lowered the MTU to 1300. It held."), item(2))
    claims = (
        Claim("We lowered the MTU to 1300.", (1,)),
        Claim("We lowered the MTU.", (2,)),
        Claim("I raised it.", (1,)),
    )
    result = check_draft(NoteDraft((NoteSection("similar", claims),), evidence=evidence))
    assert flat(result) == [("similar", "We lowered the MTU to 1300.", (1,))]
    assert check_draft(result) == result


def test_sections_are_merged_in_the_notes_order() -> None:
    """Sections come in the note's order, one of each kind, without empty ones and repeated claims."""
    sections = (
        NoteSection("systems", (Claim("S", (1,)),)),
        NoteSection("summary", (Claim("A", (1,)), Claim("a", (2,)))),
        NoteSection("documentation", (Claim("", (1,)), Claim("\u200b", (1,)))),
        NoteSection("summary", (Claim("B", (1,)),)),
    )
    result = check_draft(NoteDraft(sections, evidence=(item(1), item(2))))
    assert flat(result) == [("summary", "A", (1,)), ("summary", "B", (1,)), ("systems", "S", (1,))]


def test_long_claims_are_cut() -> None:
    """A claim has at most its number of words; one with code at most its number of characters, its lines kept."""
    ((text, _),) = checked(Claim("word " * 500, (1,)))
    assert len(text.split()) == MAX_CLAIM_WORDS + 1
    assert text.endswith(" …")
    ((code, _),) = checked(Claim("Run:\n```\n" + "line\n" * 5000, (1,)))
    assert len(code) <= MAX_CLAIM_CHARACTERS
    assert code.startswith("Run:\n```\nline\nline\n")


def test_agents_parts_are_kept() -> None:
    """Triage and notices pass the check unchanged."""
    triage = Triage(category="Network", category_confidence=0.8, votes=5)
    result = check_draft(NoteDraft((), triage=triage, notices=("The assets could not be read.",)))
    assert result.triage == triage
    assert result.notices == ("The assets could not be read.",)


def test_schema_asks_for_what_is_read() -> None:
    """The schema handed to models names the section kinds, and what fits it is read back unchanged."""
    schema = draft_schema()
    assert schema["required"] == ["sections"]
    assert set(schema["$defs"]["NoteSection"]["properties"]["kind"]["enum"]) == set(SECTION_ORDER)
    answer = {"sections": [{"kind": kind, "claims": [{"text": "x", "citations": [1]}]} for kind in SECTION_ORDER]}
    assert [kind for kind, _, _ in flat(read_draft(json.dumps(answer)))] == list(SECTION_ORDER)


WORDS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=string.ascii_letters + " .[]0123456789`\n\u200b\u0301\u1fef【】†^-,;", max_size=60),
    st.sampled_from(
        [
            "I have closed it.",
            "[1]",
            "[[1]2]",
            "```",
            "``` x[1]\n```",
            "e[1]\u0301",
            "[9]",
            "The VPN drops [2].",
            "``[1]`",
        ]
    ),
)
CLAIMS = st.builds(
    Claim, st.lists(WORDS, max_size=4).map(" ".join), st.lists(st.integers(-2, 12), max_size=4).map(tuple)
)
DRAFTS = st.builds(
    NoteDraft,
    st.lists(
        st.builds(NoteSection, st.sampled_from(SECTION_ORDER), st.lists(CLAIMS, max_size=5).map(tuple)), max_size=6
    ).map(tuple),
    evidence=st.integers(0, 9).map(lambda count: tuple(item(n, "We closed it.") for n in range(count))),
)


@given(DRAFTS)
@example(draft(Claim("e[1]\u0301 x")))
@example(draft(Claim("``[1]` x ```[2]``` [3]")))
@example(draft(Claim("[1\u200b] \u1fef\u1fef\u1fef [2]")))
def test_check_is_idempotent_and_leaves_only_what_is_carried(given_draft: NoteDraft) -> None:
    """Checked twice is checked once; every citation is in range, every item cited, every uncited claim a next step."""
    result = check_draft(given_draft)
    assert check_draft(result) == result
    cited = set()
    for kind, text, citations in flat(result):
        assert text == text.strip() != ""
        assert citations or kind == "next_steps"
        assert all(1 <= n <= len(result.evidence) for n in citations)
        assert without_citations(text) == (text, ())
        cited.update(citations)
    assert cited == set(range(1, len(result.evidence) + 1))


@given(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=12).map("\n".join)))
def test_any_answer_is_read(answer: str) -> None:
    """Whatever a model answers gives a draft of the declared types that can be stored."""
    result = read_draft(answer)
    assert msgspec.convert(msgspec.to_builtins(result), NoteDraft) == result
    check_draft(msgspec.structs.replace(result, evidence=(item(1),)))


@given(DRAFTS)
def test_written_structure_is_read_back(given_draft: NoteDraft) -> None:
    """A draft written as JSON is read back as it was."""
    sections = given_draft.sections
    try:
        answer = msgspec.json.encode({"sections": sections}).decode()
    except UnicodeEncodeError:  # lone surrogates have no JSON
        return
    assert read_draft(answer) == NoteDraft(sections)
