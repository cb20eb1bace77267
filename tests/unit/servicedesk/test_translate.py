"""Records of ServiceDesk Plus become tickets in AI Ops' words."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from aiops_core.config import load_config
from aiops_core.testing.checks import assert_typed
from aiops_core.tickets import Person, Ticket
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.translate import ticket_id_of, ticket_of
from aiops_servicedesk.wire import RequestAnswer

CONFIG = load_config(ServiceDeskConfig, {"base_url": "https://desk.example/", "technician_key": "k"})
CLOUD = load_config(
    ServiceDeskConfig,
    {
        "base_url": "https://sdpondemand.manageengine.eu",
        "edition": "cloud",
        "portal": "itdesk",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "r",
        "resolved_statuses": ["Gelöst"],
    },
)
FULL = {
    "id": "20417",
    "display_id": "417",
    "subject": "VPN stuck at 98% &amp; dropping",
    "description": "<div>It says <b>error -14</b></div><div>since Friday</div>",
    "status": {"id": "3", "name": "Resolved", "color": "#0066ff", "internal_name": "Resolved"},
    "priority": {"id": "4", "name": "Urgent", "color": "#ff0000"},
    "category": {"id": "5", "name": "Network"},
    "subcategory": {"id": "6", "name": "VPN"},
    "item": None,
    "requester": {"id": "301", "name": "Laura Pike", "email_id": "laura@harbor.example", "is_vipuser": False},
    "technician": {"id": "7", "name": "Tom Ashdown", "email_id": None},
    "site": {"id": "1", "name": "Bath"},
    "account": {"id": "2", "name": "Harbor Dental"},
    "resolution": {"content": "<p>Upgraded FortiClient</p>", "submitted_by": {"id": "7"}},
    "created_time": {"value": "1770106332000", "display_value": "Feb 3, 2026 08:12 AM"},
    "last_updated_time": {"value": "1770111457123", "display_value": "Feb 3, 2026 09:37 AM"},
    "resolved_time": {"value": "1770111457000", "display_value": "Feb 3, 2026 09:37 AM"},
    "udf_fields": {"udf_sline_1": None},
}


def read(config: ServiceDeskConfig = CONFIG, **fields: Any) -> Ticket:
    """Decode a record as an answer brings it and translate it."""
    body = msgspec.json.encode({"request": fields, "response_status": {"status_code": 2000}})
    ticket = ticket_of(msgspec.json.decode(body, type=RequestAnswer).request, config)
    assert_typed(ticket, Ticket)
    return ticket


def test_a_full_record_is_translated() -> None:
    """Every field a ticket has is filled from the record."""
    assert read(**FULL) == Ticket(
        id="20417",
        number="417",
        url="https://desk.example/WorkOrder.do?woMode=viewWO&woID=20417",
        title="VPN stuck at 98% & dropping",
        description="It says error -14\nsince Friday",
        state="resolved",
        status_word="Resolved",
        priority="critical",
        priority_word="Urgent",
        category="Network",
        labels=("VPN",),
        requester=Person(id="301", name="Laura Pike", email="laura@harbor.example"),
        technician=Person(id="7", name="Tom Ashdown"),
        site="Harbor Dental / Bath",
        resolution="Upgraded FortiClient",
        created_at=datetime(2026, 2, 3, 8, 12, 12, tzinfo=UTC),
        updated_at=datetime(2026, 2, 3, 9, 37, 37, 123000, tzinfo=UTC),
        resolved_at=datetime(2026, 2, 3, 9, 37, 37, tzinfo=UTC),
        revision="1770111457123",
    )


def test_a_bare_record_is_a_ticket() -> None:
    """A record with nothing but an id is still a ticket."""
    assert read(id=12) == Ticket(
        id="12", title="(no subject)", url="https://desk.example/WorkOrder.do?woMode=viewWO&woID=12"
    )


def test_null_fields_are_missing_ones() -> None:
    """Fields the product sends as null read as missing."""
    nulls = {name: None for name in FULL if name != "id"}
    assert read(**{**nulls, "id": "12"}) == read(id="12")


def test_words_instead_of_objects_are_read() -> None:
    """Editions that send a status, priority or site as a word are read too."""
    ticket = read(id="1", status="Closed", priority="Low", site="Bath", resolution="Rebooted.", category="Mail")
    assert (ticket.state, ticket.priority, ticket.site, ticket.resolution, ticket.category) == (
        "resolved", "low", "Bath", "Rebooted.", "Mail",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "priority"),
    [
        ("Urgent", "critical"),
        ("HIGH", "high"),
        ("Medium", "medium"),
        (" normal ", "medium"),
        ("low", "low"),
        ("P1", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_priorities_are_normalised(word: str | None, priority: str) -> None:
    """The product's usual words are normalised; the portal's own stay beside an unknown priority."""
    ticket = read(id="1", priority={"id": "1", "name": word})
    assert ticket.priority == priority
    assert ticket.priority_word == (word or None)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"status": {"name": "Open"}}, "open"),
        ({"status": {"name": "Warten auf Teile", "internal_name": "Onhold"}}, "open"),
        ({"status": {"name": "Bei der Technik", "in_progress": True}}, "open"),
        ({"status": {"name": "Geschlossen", "internal_name": "Closed"}}, "resolved"),
        ({"status": {"name": "Warten auf Teile"}}, "unknown"),
        ({"status": {"name": "Fertig"}, "completed_time": {"value": "1770111457000"}}, "resolved"),
        ({"status": {"name": "Open"}, "resolved_time": {"value": "1770111457000"}}, "open"),
        ({}, "unknown"),
    ],
    ids=range(8),
)
def test_the_state_is_read(fields: dict[str, Any], state: str) -> None:
    """The state follows the product's own status, then its times; a reopened ticket is open."""
    assert read(id="1", **fields).state == state


def test_the_portals_own_word_for_solved_counts() -> None:
    """A status the connection names as resolved is one."""
    assert read(CLOUD, id="1", status={"name": "gelöst"}).state == "resolved"
    assert read(CONFIG, id="1", status={"name": "gelöst"}).state == "unknown"


def test_the_cloud_has_its_own_page() -> None:
    """A cloud ticket's address is the one people open."""
    assert read(CLOUD, id="9").url == "https://sdpondemand.manageengine.eu/app/itdesk/ui/requests/9/details"


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "\uff19\uff19", "9" * 30, "0", None, "99999999999999"])
def test_times_that_are_none_are_left_out(value: str | None) -> None:
    """Anything but milliseconds since 1970 is no time."""
    ticket = read(id="1", created_time={"value": value}, last_updated_time={"value": value})
    assert (ticket.created_at, ticket.updated_at, ticket.revision) == (None, None, None)


@pytest.mark.parametrize("text", ["", "12a", "1/2", "..", "\uff11\uff12", "1" * 21, "-1", " 1", "1\n", "0x1"])
def test_only_digits_are_an_id(text: str) -> None:
    """Nothing but ASCII digits goes into an address."""
    assert ticket_id_of(text) is None
    assert ticket_id_of("20417") == "20417"
