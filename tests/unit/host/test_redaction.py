"""Personal data is found, replaced and put back; what only looks like it is left alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_core.errors import ConfigInvalid
from aiops_core.llm import Completion, CompletionRequest, Message
from aiops_core.tickets import Claim, Evidence, NoteDraft, NoteSection
from aiops_host.data.privacy import PersonalKind, Privacy
from aiops_host.trust.redaction import Redactor, check, find

ALL = Privacy(kinds=("email", "phone", "iban", "card", "ip"), regions=("DE", "US"))
PERSONAL: list[tuple[PersonalKind, str]] = [
    ("email", "kim.o'neil+vpn@mail.example.co.uk"),
    ("email", "a@b.example"),
    ("email", "K_I-M%1@xn--bcher-kva.example"),
    ("email", "k@x.y.z"),
    ("email", f"{'k' * 64}@{'d' * 63}.{'e' * 63}"),
    ("email", "k@a.b.c.d.e.f.g.h.example"),
    ("phone", "+49 30 901820"),
    ("phone", "+1 (650) 253-0000"),
    ("phone", "030 / 901820"),
    ("phone", "(650) 253-0000"),
    ("phone", "+44 20 7031 3000"),
    ("iban", "DE89370400440532013000"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "NO93 8601 1117 947"),
    ("iban", "AT61 1904 3002 3457 3201"),
    ("iban", "CH93 0076 2011 6238 5295 7"),
    ("iban", "CZ65 0800 0000 1920 0014 5399"),
    ("iban", "LC65HEMM00010001001200120001234567"),
    ("card", "4111 1111 1111 1111"),
    ("card", "5500-0000-0000-0004"),
    ("card", "378282246310005"),
    ("card", "6011000990139424"),
    ("card", "4222222222222"),
    ("card", "6212345678901234569"),
    ("ip", "192.0.2.17"),
    ("ip", "2001:db8::8a2e:370:7334"),
    ("ip", "fe80::1"),
    ("ip", "::1"),
    ("ip", "8.8.8.8"),
    ("ip", "2001:db8:1:2:3:4:5:6"),
    ("ip", "1:2:3:4:5:6:7::"),
    ("ip", "::2:3:4:5:6:7:8"),
    ("ip", "::ffff:192.0.2.17"),
    ("ip", "64:ff9b:1:2:3:4:192.0.2.17"),
    ("ip", "2001:db8::192.0.2.17"),
    ("ip", "::2:3:4:5:6:192.0.2.17"),
    ("ip", "::192.0.2.17"),
    ("ip", "10.255.255.254"),
]
ORDINARY = [
    "ticket 20683 and OPS-1017, error -15",
    "build 4111111111111112 failed",
    "DE00370400440532013000 is no account",
    "version 10.4.2.1.7 and 1.2.3",
    "at 2026-11-23 09:15:42 and 12:30",
    "user@host of the prompt",
    "serial 5CG1234ABC, MAC 00:1B:44:11:3A:B7",
    "port 8080 to 8443, 100 % of 123456789",
    "KB4471332 fixes 0x80070005",
    "DE0337040044 has the check digits of an account but not its length",
    "4111 1111 1000 0 begins like a card that is too short",
    "4222 2222 2222 9 begins like one of twelve digits",
    "62123456789012345676 has the check digit of a card but not its length",
    "14111111111111111 has a card's digits at its end, 41111111111111112 at its beginning",
    "4111111111111111x, 4111111111111111x1 and 4111111111111111ab are serials",
    "LC83HEMM0001000100120012000123456789 and LC92HEMM000100 have not the length of an account",
    "xDE89370400440532013000 and DE89370400440532013000x are none",
    "@x.example and k@.example are no addresses, nor is k@" + "d" * 64 + ".example",
    "MAC 00-1B-44-11-3A-B7, std::string, 1.2.3.4.5, 256.1.1.1, 1.1.1.256, 1.1.1.2551 and 1.2.3",
    "SHA1 fingerprint DE:AD:BE:EF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
]


@pytest.mark.promise("personal-data", figure="39 values of 5 kinds, 20 look-alikes")
@pytest.mark.parametrize(("kind", "value"), PERSONAL)
@pytest.mark.parametrize("around", ["{}", "call {}, please", "({}) or\n{}", "Grüße: {}.", "{} - it is {} (new)"])
def test_personal_data_is_found(kind: PersonalKind, value: str, around: str) -> None:
    """Each kind is found as people write it, wherever it stands, whole and as what it is."""
    text = around.replace("{}", value)
    found = find(text, ALL)
    assert {(text[f.start : f.end], f.kind) for f in found} == {(value, kind)}
    assert len(found) == around.count("{}")


@pytest.mark.promise("personal-data")
@pytest.mark.parametrize("value", [value for kind, value in PERSONAL if kind == "ip"])
@pytest.mark.parametrize(
    "around", ["{}: gone", "src:{}", "is :{}", "node:{}", "42:{} -", "[{}]:443", "{}/24", "{}%eth0", "a={};b"]
)
def test_addresses_are_found_beside_colons(value: str, around: str) -> None:
    """An IP address is found behind a label or a time, before the colon of a sentence, and with a port or a prefix."""
    assert value not in Redactor(ALL).hide(around.replace("{}", value))


def test_a_port_stays_beside_its_address() -> None:
    """Of an address with its port, or behind a time, only the address is replaced."""
    assert re.fullmatch(r"09:15:42:IP_1_[A-Z]{4}: gone", Redactor(ALL).hide("09:15:42:192.0.2.17: gone"))
    assert re.fullmatch(r"IP_1_[A-Z]{4}:8080", Redactor(ALL).hide("192.0.2.17:8080"))


def test_pieces_of_data_longer_than_may_be_are_hidden_as_far_as_they_go() -> None:
    """Of an address with too long a part or too many, what reads like one is hidden, and nothing runs on for ever."""
    for text, start, end in (
        (f"{'k' * 65}@x.example", 1, 75),
        (f"k@x.{'e' * 64}", 0, 67),
        ("k@a.b.c.d.e.f.g.h.i.j", 0, 19),
    ):
        assert [(f.start, f.end) for f in find(text, ALL)] == [(start, end)], text


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_numbers_stay(text: str) -> None:
    """Ticket numbers, versions, times, serials, wrong check digits and error codes are no personal data."""
    assert find(text, ALL) == []


@pytest.mark.parametrize(("kind", "value"), PERSONAL)
def test_only_what_was_chosen_is_replaced(kind: PersonalKind, value: str) -> None:
    """A kind the tenant did not choose stays, and with none chosen everything does."""
    others = tuple(k for k in ALL.kinds if k != kind)
    assert Redactor(Privacy()).hide(value) == value
    assert not [f for f in find(value, Privacy(kinds=others)) if (f.start, f.end) == (0, len(value))]


def test_national_numbers_need_their_country() -> None:
    """Without a region only numbers with a country's code are recognised; a region there is not is refused."""
    kinds: tuple[PersonalKind, ...] = ("phone",)
    assert find("030 / 901820", Privacy(kinds=kinds)) == []
    assert len(find("+49 30 901820", Privacy(kinds=kinds))) == 1
    check(ALL)
    with pytest.raises(ConfigInvalid, match="'XX' is no country"):
        check(Privacy(kinds=kinds, regions=("DE", "XX", "YY")))


def test_numbers_of_every_region_are_found_and_opened_brackets_stay() -> None:
    """A number is looked for as each country writes it, and a bracket that it does not close is not its own."""
    for text, number in (
        ("(030 901820)", "030 901820"),
        ("(call (650) 253-0000)", "(650) 253-0000"),
        ("((650) 253-0000", "(650) 253-0000"),
        ("(650) 253-0000 and more", "(650) 253-0000"),
    ):
        found = {text[f.start : f.end] for f in find(text, Privacy(kinds=("phone",), regions=("US", "DE")))}
        assert found == {number}, text


@pytest.mark.parametrize(("others", "found"), [(1999, 1), (2000, 0)])
def test_a_dump_of_numbers_is_looked_at_in_part(others: int, found: int) -> None:
    """Behind two thousand runs of digits that are no phone numbers none is looked for: no dump holds a worker up."""
    assert len(find("123456789\n" * others + "+49 30 901820", Privacy(kinds=("phone",)))) == found


def _request(text: str) -> CompletionRequest:
    return CompletionRequest(
        messages=(
            Message(role="system", content="Be brief.", purpose="instructions"),
            Message(role="user", content=f"The ticket:\n{text}", purpose="ticket"),
        ),
        evidence=(
            Evidence(
                source="ticket", ref="1", title=text, text=text, resolution=text, url=f"https://x.example/?{text}"
            ),
            Evidence(source="article", ref="2", title="plain", text="plain"),
        ),
        output_schema={},
        timeout=1.0,
    )


@pytest.mark.promise("personal-data")
@pytest.mark.attack(22)
def test_a_model_sees_stand_ins_and_the_note_has_the_values() -> None:
    """Nothing personal is in messages or evidence; whatever the model makes of the stand-ins, the values come back."""
    counted: list[str] = []
    redactor = Redactor(ALL, lambda kind, many: counted.extend([kind] * many))
    text = "; ".join(value for _, value in PERSONAL)
    hidden = redactor.hidden(_request(text))
    sent = repr([m.content for m in hidden.messages]) + repr(
        [(e.title, e.text, e.resolution, e.url) for e in hidden.evidence]
    )
    assert [value for _, value in PERSONAL if value in sent] == []
    assert hidden.messages[0].content == "Be brief."
    assert len(counted) == 5 * len(PERSONAL)
    said = hidden.messages[1].content.removeprefix("The ticket:\n")
    claims = (
        Claim(said, (1,)),
        Claim(said.lower()),
        Claim(said.replace("_", "\\_")),
        Claim("EMAIL_999_ABCD, IP_1_XXXX"),
    )
    answer = Completion(draft=NoteDraft((NoteSection("summary", claims),)), model="m")
    back = [claim.text for claim in redactor.restored(answer).draft.sections[0].claims]
    assert back == [text, text, text, "EMAIL_999_ABCD, IP_1_XXXX"]
    assert redactor.restored(answer).draft.sections[0].claims[0].citations == (1,)


def test_one_value_has_one_stand_in_within_a_run_only() -> None:
    """The same address is the same stand-in in ticket and evidence, another person's is another, and runs differ."""
    one, other = Redactor(ALL), Redactor(ALL)
    first, second, third = (one.hide(text) for text in ("a@x.example", "b@x.example", "mail a@x.example"))
    assert re.fullmatch(r"EMAIL_1_[A-Z]{4}", first)
    assert re.fullmatch(r"EMAIL_2_[A-Z]{4}", second)
    assert third == f"mail {first}"
    assert first != second
    assert other.hide("a@x.example") != first
    assert other.restore(first) == first
    unknown = first.replace("_1_", "_99_")
    assert one.restore(f"{unknown}, {first}x, x{first}") == f"{unknown}, {first}x, x{first}"


@given(st.text(max_size=300))
def test_hiding_and_restoring_changes_nothing(text: str) -> None:
    """Whatever a text holds, its values come back where they stood."""
    redactor = Redactor(ALL)
    assert redactor.restore(redactor.hide(text)) == text


def test_a_card_behind_an_account_is_hidden() -> None:
    """Digits of both that look like one number of a card hide neither: each is replaced whole."""
    ibans = [value for kind, value in PERSONAL if kind == "iban"]
    cards = [value for kind, value in PERSONAL if kind == "card"]
    for iban in ibans:
        for card in cards:
            hidden = Redactor(ALL).hide(f"{iban} {card}")
            assert not any(c.isdigit() for c in re.sub(r"(IBAN|CARD)_1_[A-Z]{4}", "", hidden)), hidden


@given(st.lists(st.sampled_from([value for _, value in PERSONAL] + ORDINARY + [" ", "\n", ";", "x"]), max_size=30))
def test_any_mixture_comes_back(parts: list[str]) -> None:
    """Personal and ordinary parts in any order come back as they were, and hiding again hides nothing more."""
    redactor = Redactor(ALL)
    text = " ".join(parts)
    hidden = redactor.hide(text)
    assert redactor.restore(hidden) == text
    assert redactor.hide(hidden) == hidden


def test_long_text_takes_no_long_time() -> None:
    """Text made to send a pattern backtracking is read in linear time: this test would run for hours otherwise."""
    for piece in ("a.", "1-", "DE11 ", "4111 ", ":", "a@", "1.", "+1"):
        find(piece * 20_000, ALL)
