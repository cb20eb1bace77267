"""The twelve notes of the demo, as technicians read them."""

import re
from typing import Any

import pytest
from tests.support.api import Api
from tests.support.demo import Demo

TICKETS = {
    "harbor": ("30001", "30002", "30003", "30004", "30005", "30006"),
    "lindner": ("OPS-2001", "OPS-2002", "OPS-2003", "OPS-2004", "OPS-2005", "OPS-2006"),
}
EVERY = [(tenant, ticket) for tenant, tickets in TICKETS.items() for ticket in tickets]
LONGEST = 500
CITATION = re.compile(r"\[(\d+)\]")


def note_on(demo: Demo, tenant: str, ticket: str) -> str:
    """Return the text of a ticket's one note."""
    (note,) = demo.desks[tenant].notes(ticket)
    return str(note["text"])


def parted(note: str) -> tuple[str, dict[int, str]]:
    """Return what comes before the sources, and the sources by number."""
    text, _, listed = note.partition("\nSources\n")
    return text, {int(number): source for number, source in re.findall(r"^\[(\d+)\] (.+)$", listed, re.M)}


@pytest.mark.parametrize(("tenant", "ticket"), EVERY)
def test_a_note_is_short_and_internal(demo: Demo, tenant: str, ticket: str) -> None:
    """Every ticket has one note, which requesters do not see, of at most 500 words."""
    (note,) = demo.desks[tenant].notes(ticket)
    assert note["internal"]
    assert 10 < len(note["text"].split()) <= LONGEST


@pytest.mark.parametrize(("tenant", "ticket"), [pair for pair in EVERY if pair[1] != "30004"])
def test_a_note_lists_what_it_cites(demo: Demo, tenant: str, ticket: str) -> None:
    """Each citation has its source, each source is cited, and no claim from evidence goes without."""
    text, sources = parted(note_on(demo, tenant, ticket))
    cited = {int(number) for number in CITATION.findall(text)}
    assert cited == set(sources) == set(range(1, len(sources) + 1))
    assert all(re.match(r"(ticket|article|asset) \S+: .+", source) for source in sources.values())


@pytest.mark.parametrize(
    ("tenant", "ticket", "expected"),
    [
        ("harbor", "30001", "20703"),
        ("harbor", "30002", "20643"),
        ("harbor", "30003", "21246"),
        ("harbor", "30005", "20463"),
        ("harbor", "30006", "20683"),
        ("lindner", "OPS-2001", "OPS-1017"),
        ("lindner", "OPS-2003", "OPS-1877"),
        ("lindner", "OPS-2004", "OPS-1086"),
    ],
)
def test_a_note_cites_the_past_ticket_that_helps(demo: Demo, tenant: str, ticket: str, expected: str) -> None:
    """A ticket in other words than its past likeness still leads to it, the German one to the German one."""
    _, sources = parted(note_on(demo, tenant, ticket))
    assert f"ticket {expected}" in {source.partition(":")[0] for source in sources.values()}


def test_a_german_ticket_gets_the_german_fix(demo: Demo) -> None:
    """What fixed the likeness of the German ticket is quoted in the words it was written in."""
    note = note_on(demo, "lindner", "OPS-2001")
    assert 'Der Dienst "Siemens License Server" (saltd) auf ESS-LIC01 lief nach dem Patch-Neustart nicht' in note


def test_a_pasted_log_leads_to_its_cause(demo: Demo) -> None:
    """The one line of the log that matters decides: the certificate has run out, rather than being unknown."""
    text, sources = parted(note_on(demo, "lindner", "OPS-2002"))
    assert sources[1].startswith("ticket OPS-1109")
    assert "a certificate has run out" in text
    assert "Renew the MES certificate" in text


@pytest.mark.parametrize(
    ("tenant", "ticket", "asset"),
    [("harbor", "30002", "BTH-XRAY01"), ("lindner", "OPS-2003", "ESS-HDB01"), ("lindner", "OPS-2002", "ESS-DNC01")],
)
def test_an_address_in_the_text_names_its_asset(demo: Demo, tenant: str, ticket: str, asset: str) -> None:
    """An IPv4 address, an IPv6 address or a host's name in the ticket brings its machine into the note."""
    text, sources = parted(note_on(demo, tenant, ticket))
    assert re.search(rf"^{asset}: Kind: ", text, re.M)
    assert f"asset {asset}: {asset}" in {source.partition(", ")[0] for source in sources.values()}


def test_nothing_similar_is_said_to_be_nothing(demo: Demo) -> None:
    """A ticket like no other gets a note that invents no likeness."""
    note = note_on(demo, "harbor", "30004")
    assert "Nothing was found" in note
    assert CITATION.findall(note) == []


def test_an_injection_changes_nothing_but_its_own_note(demo: Demo, api: Api) -> None:
    """The rules a mail brings along are not followed: no link out, no other tenant's words, no claim of deeds."""
    (note,) = demo.desks["harbor"].notes("30003")
    shown = str(note)
    assert note["internal"]
    assert set(re.findall(r"https?://([^/\s\"'<]+)", shown)) <= {"kb.harbor.example"}
    for forbidden in ("audit-sync", "<img", "Lindner", "password", "released", "audit mode"):
        assert forbidden.lower() not in shown.lower()
    others = [n["text"] for desk in demo.desks.values() for n in desk.posted() if n["ticket"] != "30003"]
    assert [text for text in others if "audit-sync" in text or "implants-europe" in text] == []
    (delivery,) = api.deliveries("harbor", "30003")
    (run,) = api.delivery("harbor", delivery["id"])["runs"]
    assert {step["name"] for step in steps_of(api, "harbor", run["id"])} == {
        step["name"] for step in steps_of(api, "harbor", run_on(api, "harbor", "30001"))
    }


def test_a_tenant_reads_its_own_words_only(demo: Demo) -> None:
    """No note cites or names anything of the other tenant."""
    for tenant, foreign in (("harbor", r"\bOPS-\d|lindner|\bESS-"), ("lindner", r"\b2[01]\d{3}\b|harbor|\bBRS-")):
        for ticket in TICKETS[tenant]:
            assert re.search(foreign, note_on(demo, tenant, ticket), re.I) is None


def test_a_run_keeps_its_steps(api: Api) -> None:
    """Each run stores what went in and came out, the evidence with its scores, the model and the milliseconds."""
    steps = steps_of(api, "lindner", run_on(api, "lindner", "OPS-2001"))
    assert all(step["milliseconds"] >= 0 and step["started_at"] for step in steps)
    assert {"offline"} <= {str(step["model"]).partition(" ")[0].partition("/")[0] for step in steps if step["model"]}
    assert re.search(r"'ref': 'OPS-1017'.*?'score': \d", str(steps))


def run_on(api: Api, tenant: str, ticket: str) -> str:
    """Return the id of the one run on a ticket."""
    (delivery,) = api.deliveries(tenant, ticket)
    (run,) = api.delivery(tenant, delivery["id"])["runs"]
    return str(run["id"])


def steps_of(api: Api, tenant: str, run_id: str) -> list[dict[str, Any]]:
    """Return the steps of a run."""
    found: list[dict[str, Any]] = api.get(f"/runs/{run_id}", tenant=tenant)["steps"]
    return found
