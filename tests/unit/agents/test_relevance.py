"""Which of the found items really fit a ticket."""

import pytest
from tests.unit.agents.records import ARTICLE, CABLE, DRIVER, SPOOLER, TICKET, VPN, changed, past

from aiops_agents.enhance.relevance import alike_articles, alike_tickets, named_most, nearest_tickets
from aiops_core import Evidence

TEXT = TICKET.text


def _refs(fitting: list[object]) -> list[str]:
    return [f.item.ref for f in fitting]  # type: ignore[attr-defined]


def _scored(*items: Evidence, scores: tuple[float, ...] = ()) -> list[Evidence]:
    given = scores or (1.0,) * len(items)
    return [changed(item, score=score) for item, score in zip(items, given, strict=True)]


def test_the_unlike_is_dropped_whatever_its_score() -> None:
    """A past ticket that shares no words stays out, even when the search scored it best."""
    found = _scored(VPN, SPOOLER, CABLE, scores=(9.0, 2.0, 2.0))
    assert set(_refs(alike_tickets(TEXT, found))) == {"T-101", "T-102"}


def test_where_nothing_is_alike_nothing_is_kept() -> None:
    """The best of unlike tickets is not taken for a like one."""
    assert alike_tickets("The aquarium in the waiting room turned green, two fish float", _scored(VPN, SPOOLER)) == []
    assert alike_tickets(TEXT, []) == []


def test_a_shared_address_outweighs_a_common_word() -> None:
    """Of two that share as many words, the one that names the same machine comes first."""
    text = "No pictures\nThey stay on the scanner 10.21.30.21, nothing arrives, patients wait in the room"
    words = past("A", "Pictures late", "Nothing arrives, patients wait outside.", "x")
    machine = past("M", "Pictures lost", "Nothing arrives from 10.21.30.21, patients went home.", "x")
    assert _refs(alike_tickets(text, _scored(words, machine))) == ["M", "A"]


def test_a_word_of_the_title_outweighs_one_of_the_description() -> None:
    """Of two that share as many words, the one that shares those of the ticket's title comes first."""
    text = "Scanner loses network\nIt happened beside the packing station, the screen freezes and pickers stand around"
    body = past("A", "Pickers", "Beside the packing station the screen freezes", "x")
    title = past("M", "Scanner", "Scanner loses the network, screen freezes", "x")
    assert _refs(alike_tickets(text, _scored(body, title)))[0] == "M"


def test_a_word_everybody_shares_counts_less() -> None:
    """Among the found, words of few items decide the order over words of many."""
    found = [past(f"C{n}", "Printer offline labels queue packing", "desk grows", "x") for n in range(6)]
    rare = past("R", "Printer offline labels", "zb-7 on prt02 with the queue", "x")
    assert _refs(nearest_tickets(TEXT, _scored(*found, rare)))[0] == "R"


def test_the_resolution_counts() -> None:
    """A past ticket told in other words is found by the words of its resolution."""
    told = past(
        "T", "It happened again", "See phone call.", "Label printer ZB-7 offline, labels stuck in the queue of PRT02."
    )
    assert _refs(alike_tickets(TEXT, _scored(told))) == ["T"]


def test_what_was_asked_outweighs_what_fixed_it() -> None:
    """Of two that share as many words, the one whose request shares them comes first, whatever it was fixed by."""
    text = "Label printer offline\nZB-7 queue stuck on packing desk"
    fixed_alike = past("A", "It happened again", "See phone call.", "Label printer offline, queue of ZB-7 stuck.")
    asked_alike = past("M", "Label printer offline", "The queue of ZB-7 is stuck.", "Turned the purple switch.")
    assert _refs(nearest_tickets(text, _scored(fixed_alike, asked_alike))) == ["M", "A"]


def test_a_pasted_log_must_share_more() -> None:
    """What is enough for an ordinary ticket is chance for one with hundreds of words."""
    log = TEXT + "\n" + " ".join(f"token{n}" for n in range(400))
    assert alike_tickets(TEXT, _scored(DRIVER))
    assert alike_tickets(log, _scored(DRIVER)) == []


def test_a_short_ticket_need_not_share_much() -> None:
    """A ticket of three words is like one that shares one of them."""
    assert _refs(alike_tickets("VPN broken", _scored(VPN, SPOOLER))) == ["T-201"]


def test_an_article_is_found_through_the_closest_past_ticket() -> None:
    """An article in technical words fits when the closest past ticket speaks them, and not without it."""
    text = (
        "Patients keep saying hello and hang up, in the rooms we hear them. Boston here: fourteen bookings missed, "
        "the internet company plugged a white box beside the cabinet"
    )
    fixed = past(
        "P",
        "Callers can't hear us",
        "Patients hang up, we hear them in the rooms.",
        "SIP ALG was on after the provider swap, disabled the session helper, restarted the SBC, one-way audio gone.",
    )
    article = Evidence(
        source="article",
        ref="A",
        title="One-way audio",
        text="Rooms hear each other, patients hear nothing: SIP ALG. Disable the session helper, restart the SBC, ask the provider.",
    )
    assert alike_articles(text, _scored(article), None) == []
    assert _refs(alike_articles(text, _scored(article), fixed)) == ["A"]
    assert alike_articles(text, _scored(ARTICLE), fixed) == []


def test_an_article_clearly_about_the_ticket_needs_no_past_ticket() -> None:
    """An article that shares many of the ticket's own words fits by itself."""
    assert _refs(alike_articles(TEXT, _scored(ARTICLE), None)) == ["KB-7"]


JAMS = Evidence(
    source="article", ref="printer-jam", title="Printer jams", text="Open the tray and clean the pickup rollers."
)
DOWN = Evidence(source="article", ref="vpn", title="VPN down", text="Restart the tunnel on the gateway.")
SEVEN = "since seven o'clock, reception cannot hand letters over and the courier waits outside for ours"


@pytest.mark.parametrize(
    ("title", "ticket"),
    [
        ("Printer jams", f"Printer in room 3 jams again\nHappens {SEVEN}"),
        ("Printer jam", f"Printer in room 3 jams again\nHappens {SEVEN}"),
        ("Printer jams: tray, rollers, fuser and when to call", f"Printer in room 3 jams again\nHappens {SEVEN}"),
        ("Printer jams", f"Reception stands still\nThe printer jams {SEVEN}"),
        ("Printers", f"Printer in room 3 crumples paper\nHappens {SEVEN}"),
    ],
)
def test_an_article_whose_title_the_ticket_names_is_kept(title: str, ticket: str) -> None:
    """In a new tenant, without a past ticket and with few shared words, two words of its title or a whole short one do."""
    assert _refs(alike_articles(ticket, _scored(changed(JAMS, title=title)), None)) == ["printer-jam"]


@pytest.mark.parametrize(
    ("title", "ticket"),
    [
        ("Rooms", f"Fish tank gone green\nIt stands in the waiting room {SEVEN}"),
        ("Printer jams: tray, rollers, fuser", f"Reception stands still\nThe printer jams {SEVEN}"),
        ("Plotters and printers", f"Printer in room 3 crumples paper\nHappens {SEVEN}"),
        ("How to", f"How to begin\nHappens {SEVEN}"),
    ],
)
def test_an_article_whose_title_only_touches_the_ticket_is_dropped(title: str, ticket: str) -> None:
    """One word of a longer title, a few of a description, or a title that says nothing do not make it fit."""
    article = changed(JAMS, title=title, text="See the shelf.")
    assert alike_articles(ticket, _scored(article), None) == []


def test_an_article_named_by_the_ticket_stays_beside_one_that_fits_better() -> None:
    """A short article is not pushed out by a long one that shares more words."""
    ticket = f"{TICKET.title}, VPN down too\n{TICKET.description}"
    assert _refs(alike_articles(ticket, _scored(ARTICLE, DOWN), None)) == ["KB-7", "vpn"]


def test_assets_others_name_come_first() -> None:
    """Of many machines in a log, the one that past tickets and articles name stands first."""
    assets = [Evidence(source="asset", ref=ref, title=ref, text="x") for ref in ("CNC-1", "CNC-2", "PRT02")]
    assert _refs(named_most(assets, [SPOOLER, ARTICLE])) == ["PRT02", "CNC-1", "CNC-2"]


def test_a_tool_without_scores_is_ranked_all_the_same() -> None:
    """Items whose tool gives no score are ordered by what they share."""
    found = [changed(item, score=0.0) for item in (VPN, DRIVER, CABLE)]
    assert _refs(alike_tickets(TEXT, found))[0] == "T-102"
    assert [f.fit > 0 for f in nearest_tickets(TEXT, found)] == [True, True]


def test_the_closest_stays_whatever_its_fix_is() -> None:
    """A past ticket whose request is like the ticket stays when its fix is replaced by words that share nothing."""
    text = (
        "Scanner loses network\nHappens beside the packing station while pickers walk with pallets; forms vanish suddenly, "
        "batteries charged, gloves dry, doors closed, forklift parked, radio silent"
    )
    request = ("Scanner offline", "Nobody can work, the packing line waits, network gone.")
    for fix in (
        "Pickers walk again: roaming threshold of the station raised.",
        "Turned the purple switch upside down.",
    ):
        assert _refs(alike_tickets(text, _scored(past("A", *request, fix)))) == ["A"]
