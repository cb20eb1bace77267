"""From Jira's JSON to the core's ticket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_core.compose import TITLE
from aiops_core.config import load_config
from aiops_core.errors import TicketingUnavailable
from aiops_core.tickets import Person, Priority, Ticket, TicketComment
from aiops_jira.config import JiraConfig
from aiops_jira.translate import MAX_COMMENTS, priority, ticket, wanted_fields

CONFIG = {"base_url": "https://example.atlassian.net/", "email": "a@example.com", "api_token": "t"}
DANA = {"accountId": "d-1", "displayName": "Dana Kim", "emailAddress": "dana@example.com"}
TOM = {"accountId": "t-1", "displayName": "Tom Ashdown"}
DONE = {"name": "Closed", "statusCategory": {"key": "done"}}


def config(**changes: Any) -> JiraConfig:
    """Return a Cloud connection."""
    return load_config(JiraConfig, {**CONFIG, **changes})


def read(fields: dict[str, Any], **changes: Any) -> Ticket:
    """Return the ticket of an issue with these fields."""
    return ticket({"id": "10001", "key": "OPS-1", "fields": fields}, config(**changes))


def comment(text: str, minute: int, author: Any = TOM, **more: Any) -> dict[str, Any]:
    """Return a comment made at nine and some minutes."""
    return {
        "id": str(minute),
        "body": text,
        "author": author,
        "created": f"2026-03-02T09:{minute:02}:00.000+0000",
        **more,
    }


def test_full_issue_is_read() -> None:
    """Every field of an issue lands where the core expects it."""
    issue = {
        "id": "10001",
        "key": "OPS-1",
        "fields": {
            "summary": "VPN [down]",
            "description": {
                "type": "doc",
                "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Since Monday"}]}],
            },
            "issuetype": {"name": "Incident"},
            "priority": {"name": "Highest"},
            "status": {"name": "In Arbeit", "statusCategory": {"key": "indeterminate"}},
            "reporter": DANA,
            "assignee": TOM,
            "labels": ["vpn", "remote"],
            "components": [{"name": "Network"}, {"name": "Other"}],
            "created": "2026-03-02T09:00:00.000+0100",
            "updated": "2026-03-02T10:00:00.000+0100",
            "resolutiondate": None,
            "comment": {"comments": [comment("Looking at it", 5), comment("Thanks", 7, DANA, jsdPublic=False)]},
            "customfield_10200": [{"id": "3", "name": "Lindner"}],
        },
    }
    berlin = timezone(timedelta(hours=1))
    assert ticket(issue, config(organization_field="customfield_10200")) == Ticket(
        id="OPS-1",
        title="VPN [down]",
        description="Since Monday",
        url="https://example.atlassian.net/browse/OPS-1",
        state="open",
        status_word="In Arbeit",
        priority="critical",
        priority_word="Highest",
        category="Network",
        requester=Person(id="d-1", name="Dana Kim", email="dana@example.com"),
        technician=Person(id="t-1", name="Tom Ashdown"),
        site="Lindner",
        labels=("vpn", "remote"),
        comments=(
            TicketComment(
                text="Thanks",
                author=Person(id="d-1", name="Dana Kim", email="dana@example.com"),
                created_at=datetime(2026, 3, 2, 9, 7, tzinfo=UTC),
                internal=True,
            ),
            TicketComment(
                text="Looking at it",
                author=Person(id="t-1", name="Tom Ashdown"),
                created_at=datetime(2026, 3, 2, 9, 5, tzinfo=UTC),
            ),
        ),
        created_at=datetime(2026, 3, 2, 9, tzinfo=berlin),
        updated_at=datetime(2026, 3, 2, 10, tzinfo=berlin),
        revision="2026-03-02T10:00:00.000+0100",
    )


def test_bare_issue_is_a_ticket() -> None:
    """An issue of nothing but its key is a ticket with a title to show."""
    assert ticket({"key": "OPS-1"}, config()) == Ticket(
        id="OPS-1", title="(no title)", url="https://example.atlassian.net/browse/OPS-1"
    )


@pytest.mark.parametrize("answer", [None, [], {}, {"fields": {}}, {"key": "../x"}, {"errorMessages": []}])
def test_answer_that_is_no_issue_is_unavailable(answer: Any) -> None:
    """An answer without key and id is not taken for a ticket."""
    with pytest.raises(TicketingUnavailable):
        ticket(answer, config())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Highest", "critical"), ("Blocker", "critical"), ("Critical", "critical"), ("High", "high"), ("Major", "high"),
        ("Medium", "medium"), ("Normal", "medium"), ("Low", "low"), ("Minor", "low"), ("Lowest", "low"),
        ("Trivial", "low"), ("P2 - High", "high"), ("2-High", "high"), ("URGENT", "critical"), ("P1", "unknown"),
        ("", "unknown"), (None, "unknown"),
    ],
)  # fmt: skip
def test_priority_words_are_normalised(name: str | None, expected: Priority) -> None:
    """Jira's usual priority names, alone or within a name, give the four levels."""
    assert priority(name) == expected


def test_technicians_last_public_comment_is_the_resolution() -> None:
    """Of a resolved ticket's comments, neither the requester's, nor internal ones, nor our own note resolve it."""
    comments = [
        comment("Try turning it off", 1),
        comment("Replaced the toner", 2),
        comment("Thanks, works", 3, DANA),
        comment("cost 40 EUR", 4, jsdPublic=False),
        comment("cost 50 EUR", 5, properties=[{"key": "sd.public.comment", "value": {"internal": True}}]),
        comment(f"{TITLE}\nSimilar tickets …", 6),
    ]
    fields = {"status": DONE, "reporter": DANA, "comment": {"comments": comments}}
    assert read(fields).resolution == "Replaced the toner"


def test_open_ticket_has_no_resolution() -> None:
    """Comments of an open ticket resolve nothing."""
    fields = {"status": {"name": "Open", "statusCategory": {"key": "new"}}, "comment": {"comments": [comment("hm", 1)]}}
    assert read(fields).resolution is None


def test_bare_resolution_name_is_no_resolution() -> None:
    """``Done`` says that a ticket is resolved, not how."""
    told = read({"resolution": {"name": "Done"}, "resolutiondate": "2026-03-02T09:00:00.000+0000"})
    assert (told.state, told.resolution) == ("resolved", None)
    assert told.resolved_at == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_chosen_fields_tell_the_resolution() -> None:
    """The configured fields go before comments, as ADF, wiki markup or an option."""
    fields = {
        "status": DONE,
        "comment": {"comments": [comment("Closed.", 1)]},
        "customfield_1": {
            "type": "doc",
            "content": [{"type": "paragraph", "content": [{"type": "text", "text": "Reset the MFA"}]}],
        },
        "customfield_2": "*Restarted* the service",
        "customfield_3": {"value": "Hardware"},
        "customfield_4": None,
    }
    chosen = [f"customfield_{n}" for n in range(1, 6)]
    assert read(fields, resolution_fields=chosen).resolution == "Reset the MFA\nRestarted the service\nHardware"
    assert read(fields, resolution_fields=["customfield_4"]).resolution == "Closed."


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"issuetype": {"name": "Bug"}}, "Bug"),
        ({"issuetype": {"name": "Bug"}, "components": [{}, {"name": "Printing"}]}, "Printing"),
        ({"customfield_9": {"value": "HW", "child": {"value": "Toner"}}, "components": [{"name": "x"}]}, "HW / Toner"),
        ({"customfield_9": [{"value": "a"}, {"value": "b"}]}, "a, b"),
        ({"customfield_9": "free text"}, "free text"),
        ({"customfield_9": {"requestType": {"name": "Get IT help"}}}, "Get IT help"),
        ({"customfield_9": {"odd": 1}}, None),
    ],
)
def test_category_is_chosen_field_component_or_type(fields: dict[str, Any], category: str | None) -> None:
    """The chosen field in any of Jira's shapes, else the first component, else the issue type."""
    assert read(fields, category_field="customfield_9").category == category


def test_newest_comments_are_kept() -> None:
    """Of many comments in any order the newest stay, newest first."""
    comments = [comment(f"c{minute}", minute) for minute in (*range(30, 60), *range(30))]
    kept = read({"comment": {"comments": comments}}).comments
    assert [c.text for c in kept] == [f"c{minute}" for minute in range(59, 59 - MAX_COMMENTS, -1)]


def test_links_go_where_people_open_tickets() -> None:
    """The address of links may differ from the API's."""
    assert read({}, browse_url="https://jira.example.com/").url == "https://jira.example.com/browse/OPS-1"


def test_all_configured_fields_are_asked_for() -> None:
    """What the configuration names is among the fields asked, once asked for nothing else is."""
    chosen = config(
        category_field="customfield_1", organization_field="customfield_2", resolution_fields=["customfield_3"]
    )
    assert wanted_fields(chosen).split(",")[-3:] == ["customfield_1", "customfield_2", "customfield_3"]
    assert "customfield" not in wanted_fields(config())


NAMES = st.sampled_from(
    ["summary", "description", "status", "statusCategory", "key", "name", "comment", "comments", "author", "created",
     "updated", "labels", "components", "resolution", "reporter", "body", "value", "customfield_1", "accountId"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("done"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(NAMES, JSON, max_size=12))
def test_any_shape_of_fields_is_a_ticket(fields: dict[str, Any]) -> None:
    """Whatever stands where a field should be, the ticket is still a ticket."""
    read = ticket(
        {"key": "OPS-1", "fields": fields}, config(category_field="customfield_1", resolution_fields=["customfield_1"])
    )
    assert read.id == "OPS-1"
    assert read.title
