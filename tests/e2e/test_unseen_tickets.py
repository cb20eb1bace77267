"""Tickets the seed never saw get their notes by the same path, from the history as it is now."""

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.api import Api
from tests.support.demo import Demo
from tests.support.desk import Desk

from aiops_demo.cast import Player
from aiops_demo.simulators.base import Json


def paragraph(*texts: str) -> Json:
    """Return an ADF document of paragraphs."""
    content = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in texts]
    return {"type": "doc", "version": 1, "content": content}


def adf(desk: Desk) -> Json:
    """Return an issue with an ADF description."""
    fields = {
        "summary": "NX findet keine Lizenz",
        "description": paragraph("Lizenzserver nicht erreichbar, Fehler -15"),
    }
    return {"key": desk.new_id(), "fields": fields}


def wiki(desk: Desk) -> Json:
    """Return an issue with wiki markup and whatever else."""
    fields = {
        "summary": "Lizenz",
        "description": "h2. NX\n* keine *Lizenz* beim Start\n* Lizenzserver antwortet nicht, Fehler -15",
        "customfield_10999": {"of": ["an", {"app": "nobody knows"}]},
        "priority": {"name": "Blocker"},
        "assignee": None,
    }
    return {"key": desk.new_id(), "id": "99", "fields": fields, "transition": {}}


def bare(desk: Desk) -> Json:
    """Return an issue with a summary only."""
    return {"key": desk.new_id(), "fields": {"summary": "NX startet nicht, keine Lizenz, Fehler -15 Lizenzserver"}}


@pytest.mark.parametrize("issue", [adf, wiki, bare])
def test_a_jira_ticket_of_any_shape(lindner: Desk, issue: Callable[[Desk], Json]) -> None:
    """An issue with a description in ADF, in wiki markup or missing leads to the past ticket it is like."""
    ticket_id, _ = lindner.deliver(issue(lindner))
    (note,) = lindner.await_notes(ticket_id)
    assert note["internal"]
    assert "OPS-1017" in note["text"]


def test_a_servicedesk_ticket_in_html(harbor: Desk) -> None:
    """A request in HTML, with fields missing, leads to the past ticket it is like."""
    description = "<div>Patients calling in <b>can&#39;t hear us</b>,<br>but we hear them.</div><script>x()</script>"
    request = {"id": harbor.new_id(), "subject": "One-way audio", "description": description}
    ticket_id, _ = harbor.deliver(request)
    (note,) = harbor.await_notes(ticket_id)
    assert note["internal"]
    assert "20683" in note["text"]


def test_an_empty_ticket(harbor: Desk, api: Api) -> None:
    """A request without any text gets a note that says nothing was found, not a failure."""
    ticket_id, delivery_id = harbor.deliver({"id": harbor.new_id()})
    (note,) = harbor.await_notes(ticket_id)
    assert "Nothing was found" in note["text"]
    assert api.await_end("harbor", delivery_id)["delivery"]["state"] == "done"


def test_a_resolved_ticket_is_learned_and_cited(lindner: Desk, api: Api) -> None:
    """A webhook about a resolved ticket makes it history; the next like it cites its fix; changed, the changed one."""
    words = "Zirbelmaschine meldet Quarzsaege Stoerung 4711 am Foerderband Blau"
    first, fixes = lindner.new_id(), ("Den Zirbelschalter gedrueckt", "Die Quarzsaege getauscht")
    for fix in fixes:
        resolved = lindner.ticket(words, words, ticket_id=first, resolution=fix, resolved_at=moment())
        ticket_id, delivery_id = lindner.deliver(resolved, "resolved")
        ended = api.await_end("lindner", delivery_id)
        assert "history" in ended["delivery"]["reason"]
        assert lindner.notes(ticket_id) == []
        similar, _ = lindner.deliver(lindner.ticket(words, f"Wieder: {words}"))
        (note,) = lindner.await_notes(similar)
        assert [f for f in fixes if f in note["text"]] == [fix]
        assert first in note["text"]


@pytest.mark.parametrize(
    ("tenant", "live", "past"),
    [
        ("harbor", "30001", "20703"),
        ("harbor", "30002", "20643"),
        ("harbor", "30003", "21246"),
        ("harbor", "30005", "20463"),
        ("harbor", "30006", "20683"),
        ("lindner", "OPS-2001", "OPS-1017"),
        ("lindner", "OPS-2002", "OPS-1109"),
        ("lindner", "OPS-2003", "OPS-1877"),
        ("lindner", "OPS-2004", "OPS-1086"),
    ],
)
def test_a_note_is_not_canned(demo: Demo, api: Api, tenant: str, live: str, past: str) -> None:
    """A ticket the demo knows gets another note when the past ticket it cites turns out to be fixed otherwise."""
    desk, player = demo.desks[tenant], Player(tenant)
    (again,) = [ticket for ticket in player.live if ticket["ticket_id"] == live]
    with (player.folder / "tickets.csv").open(newline="", encoding="utf-8") as rows:
        (known,) = [row for row in csv.DictReader(rows) if row["ticket_id"] == past]
    notes = []
    for fix in (known["resolution"], "Turned the purple switch in the cellar upside down."):
        _, learned = desk.deliver(desk.ticket(**{**known, "resolved_at": moment(), "resolution": fix}), "resolved")
        api.await_end(tenant, learned)
        ticket_id, _ = desk.deliver(desk.ticket(**{**again, "ticket_id": desk.new_id()}))
        (note,) = desk.await_notes(ticket_id)
        assert past in note["text"]
        notes.append(note["text"].partition("\nRelevant documentation\n")[0])
    quoted = [part for part in re.split(r"(?<=[.;:])\s+", known["resolution"]) if len(part) > 15 and part in notes[0]]
    assert quoted
    assert [part for part in quoted if part in notes[1]] == []
    assert "Turned the purple switch in the cellar upside down." in notes[1]


def test_an_imported_change_changes_the_note(demo: Demo, harbor: Desk, api: Api, tmp_path: Path) -> None:
    """A note is made from the history as it is: a row whose fix is changed by an import is cited with the new fix."""
    words = "Gyroskop im Aquarienkeller pfeift, Anzeige Lavendel 88"
    row = {"ticket_id": harbor.new_id(), "title": words, "description": words, "created_at": "2026-05-01T08:00:00Z"}
    delivery_id = ""
    for number, fix in enumerate(("Das Ventil links zugedreht", "Die Dichtung rechts ersetzt"), 1):
        file = tmp_path / "history.csv"
        with file.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, [*row, "resolution"])
            writer.writeheader()
            writer.writerow({**row, "resolution": fix})
        said = demo.aiops("tickets", "import", str(file), "--tenant", "harbor", "--json")
        assert said == {"added": int(number == 1), "changed": int(number == 2), "unchanged": 0}
        if number == 1:
            ticket_id, delivery_id = harbor.deliver(harbor.ticket(words, f"Schon wieder: {words}"))
        else:
            demo.aiops("deliveries", "replay", delivery_id, "--tenant", "harbor", "--post-again", "--json")
        notes = harbor.await_notes(ticket_id, number)
        assert fix in notes[-1]["text"]
        api.await_end("harbor", delivery_id)
    assert len(harbor.notes(ticket_id)) == 2


def moment() -> str:
    """Return the present as ISO 8601; the vendors tell one change of a ticket from the next by its time."""
    return datetime.now(UTC).isoformat()
