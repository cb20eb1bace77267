"""What a webhook says of itself: Jira's own bodies and those of Automation rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from aiops_core.config import load_config
from aiops_core.errors import PayloadInvalid
from aiops_core.ticketing import WebhookRequest
from aiops_core.tickets import TicketMetadata
from aiops_jira import plugin
from aiops_jira.config import JiraConfig
from aiops_jira.translate import metadata

CONFIG = {"base_url": "https://example.atlassian.net", "email": "a@example.com", "api_token": "t"}
ISSUE = {
    "id": "10002",
    "key": "OPS-7",
    "self": "https://example.atlassian.net/rest/api/2/issue/10002",
    "fields": {
        "summary": "VPN",
        "updated": "2026-03-02T10:00:00.000+0100",
        "status": {"name": "Open", "statusCategory": {"key": "new"}},
    },
}
DONE = {**ISSUE, "fields": {**ISSUE["fields"], "status": {"name": "Closed", "statusCategory": {"key": "done"}}}}  # type: ignore[dict-item]
COMMENT = {"id": "31", "author": {"accountId": "c-1"}, "body": "Any news?", "updated": "2026-03-02T11:00:00.000+0000"}


def read(body: Any, headers: dict[str, str] | None = None, **config: Any) -> TicketMetadata:
    """Return the metadata of a body, sent with these headers to a connection so configured."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = WebhookRequest(headers=headers or {}, body=raw, received_at=datetime(2026, 3, 2, tzinfo=UTC))
    return metadata(request, load_config(JiraConfig, {**CONFIG, **config}))


def native(event: str, **more: Any) -> dict[str, Any]:
    """Return a body of Jira's own."""
    return {"timestamp": 1772442000123, "webhookEvent": event, "issue": ISSUE, "user": {"accountId": "u-9"}, **more}


def changed(field: str, to: str | None, **more: Any) -> dict[str, Any]:
    """Return a changelog with one item."""
    return {"id": "555", "items": [{"field": field, "from": "1", "to": to, "toString": to, **more}]}


def test_created_ticket_is_told_whole() -> None:
    """A created ticket gives key, kind, sender's id, actor, revision and time."""
    assert read(native("jira:issue_created"), {"x-atlassian-webhook-identifier": "abc-1"}) == TicketMetadata(
        ticket_id="OPS-7",
        kind="opened",
        delivery_id="abc-1",
        actor_id="u-9",
        revision="2026-03-02T10:00:00.000+0100",
        occurred_at=datetime(2026, 3, 2, 9, 0, 0, 123000, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(native("jira:issue_updated", changelog=changed("priority", "2")), "updated", id="priority"),
        pytest.param(
            native("jira:issue_updated", changelog=changed("resolution", "10000")), "resolved", id="resolution"
        ),
        pytest.param(native("jira:issue_updated", changelog=changed("resolution", None)), "updated", id="reopened"),
        pytest.param(native("jira:issue_updated", changelog=changed("status", "3")), "updated", id="status goes on"),
        pytest.param(
            native("jira:issue_updated", changelog=changed("status", "6"), issue=DONE), "resolved", id="status done"
        ),
        pytest.param(
            native("jira:issue_updated", changelog=changed("summary", "x"), issue=DONE),
            "updated",
            id="edited when done",
        ),
        pytest.param(native("jira:issue_updated", issue_event_type_name="issue_resolved"), "resolved", id="event type"),
        pytest.param(
            native("jira:issue_updated", issue_event_type_name="issue_commented", comment=COMMENT),
            "commented",
            id="comment as an update",
        ),
        pytest.param(native("jira:issue_updated", comment=COMMENT), "commented", id="comment without event type"),
        pytest.param(native("jira:issue_updated"), "updated", id="nothing said"),
        pytest.param(native("comment_created", comment=COMMENT), "commented", id="comment"),
        pytest.param(native("comment_updated", comment=COMMENT), "commented", id="comment edited"),
        pytest.param(native("comment_deleted", comment=COMMENT), "other", id="comment deleted"),
        pytest.param(native("jira:issue_deleted"), "other", id="deleted"),
        pytest.param(native("issue_property_set"), "other", id="unknown event"),
    ],
)
def test_kind_is_what_happened(body: dict[str, Any], kind: str) -> None:
    """The kind is read from event, event type, changelog and the status' category."""
    assert read(body).kind == kind


def test_comment_names_its_author_and_its_own_revision() -> None:
    """A comment event, which has no user, names the comment's author; the comment is its revision."""
    body = native("comment_created", comment=COMMENT)
    del body["user"]
    told = read(body)
    assert told.actor_id == "c-1"
    assert told.revision == "comment 31 2026-03-02T11:00:00.000+0000"


def test_edited_comment_is_a_new_revision() -> None:
    """Two edits of one comment are two revisions, and its editor is the actor."""
    first = read(native("comment_updated", comment=COMMENT))
    later = {**COMMENT, "updated": "2026-03-02T11:05:00.000+0000", "updateAuthor": {"accountId": "c-2"}}
    second = read({**native("comment_updated", comment=later), "user": None})
    assert first.revision != second.revision
    assert second.actor_id == "c-2"


def test_change_is_its_own_revision() -> None:
    """An update's revision is its changelog's id; without one the ticket's update time, at last the event's time."""
    assert read(native("jira:issue_updated", changelog=changed("priority", "2"))).revision == "555"
    assert read(native("jira:issue_updated")).revision == "2026-03-02T10:00:00.000+0100"
    assert read(native("jira:issue_updated", issue={"key": "OPS-7"})).revision == "1772442000123"


def test_same_bytes_under_a_new_header_keep_their_revision() -> None:
    """A replay with a fresh, unsigned identifier differs in nothing else."""
    first = read(native("jira:issue_created"), {"x-atlassian-webhook-identifier": "one"})
    again = read(native("jira:issue_created"), {"x-atlassian-webhook-identifier": "two"})
    assert (first.ticket_id, first.kind, first.revision) == (again.ticket_id, again.kind, again.revision)


@pytest.mark.parametrize(
    ("user", "actor"), [({"name": "jdoe", "key": "JIRAUSER7"}, "JIRAUSER7"), ({"name": "jdoe"}, "jdoe")]
)
def test_data_center_names_accounts_by_key(user: dict[str, str], actor: str) -> None:
    """Without an account id, the user's key or else its name is the actor."""
    assert read(native("jira:issue_created", user=user)).actor_id == actor


def test_id_stands_in_for_a_missing_key() -> None:
    """An issue without a key is named by its id."""
    assert read(native("jira:issue_created", issue={"id": 10002})).ticket_id == "10002"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"webhookEvent": "jira:issue_created"}',
        b'{"a": ' * 20_000 + b"1" + b"}" * 20_000,
        b'{"key": "\xff"}',
        b'{"key": "\\ud800"}',
        b'{"webhookEvent": "jira:issue_created", "issue": {"key": "../../../admin"}}',
        b'{"webhookEvent": "jira:issue_created", "issue": {"key": "OPS-1/../OPS-2"}}',
        b'{"webhookEvent": "jira:issue_created", "issue": {"key": ["OPS-1"]}}',
        b'{"webhookEvent": "project_created", "project": {"key": "OPS"}}',
        b'{"key": true}',
    ],
    ids=lambda body: body[:60].decode("latin-1"),
)
def test_body_without_a_ticket_is_invalid(body: bytes) -> None:
    """A body that cannot be read, or names no possible ticket, is refused as invalid."""
    with pytest.raises(PayloadInvalid):
        read(body)


def test_control_characters_do_not_travel() -> None:
    """What a header or body calls itself is cleaned and cut before it is stored."""
    told = read(
        native("jira:issue_created", user={"accountId": "a\x00b\n" + "x" * 900}),
        {"x-atlassian-webhook-identifier": "i\x00d"},
    )
    assert told.delivery_id == "id"
    assert told.actor_id is not None
    assert told.actor_id.startswith("abx")
    assert len(told.actor_id) <= 255


def test_recommended_automation_body_needs_no_mapping() -> None:
    """The template of the set-up help, filled in, is read without any mapping."""
    filled = plugin.AUTOMATION_TEMPLATE
    for smart_value, value in (
        ("{{issue.key}}", "OPS-9"),
        ("{{issue.updated}}", "2026-03-02T10:00:00.0+0000"),
        ("{{initiator.accountId}}", "u-1"),
    ):
        assert smart_value in filled
        filled = filled.replace(smart_value, value)
    told = read(filled.encode(), webhook_proof="header")
    assert (told.ticket_id, told.kind, told.actor_id) == ("OPS-9", "opened", "u-1")
    assert told.revision == "2026-03-02T10:00:00.0+0000"
    assert told.occurred_at == datetime(2026, 3, 2, 10, tzinfo=UTC)


def test_administrator_chooses_the_fields() -> None:
    """Another body is read by its dotted paths."""
    body = {"data": {"incident": {"number": "OPS-9"}, "what": "Done", "rev": 17, "by": {"id": "u-1"}}}
    mapping = {
        "ticket": "data.incident.number",
        "event": "data.what",
        "revision": "data.rev",
        "actor": "data.by.id",
    }
    told = read(body, automation=mapping)
    assert (told.ticket_id, told.kind, told.revision, told.actor_id) == ("OPS-9", "resolved", "17", "u-1")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("Created", "opened"),
        ("transitioned", "updated"),
        ("resolved", "resolved"),
        ("comment_created", "commented"),
        ("?", "other"),
    ],
)
def test_automation_words_are_understood(event: str, kind: str) -> None:
    """Words an administrator is likely to type name the kind; others name no kind."""
    assert read({"key": "OPS-9", "event": event}).kind == kind


def test_automation_without_event_takes_the_default() -> None:
    """Jira's own issue data as an Automation body, which names no event, takes the configured one."""
    assert read(ISSUE).kind == "opened"
    told = read(ISSUE, automation={"default_event": "resolved"})
    assert (told.ticket_id, told.kind, told.revision) == ("OPS-7", "resolved", "2026-03-02T10:00:00.000+0100")


def test_tenant_in_the_body_is_ignored() -> None:
    """A body that names a tenant changes nothing."""
    assert read({**native("jira:issue_created"), "tenant_id": "other"}) == read(native("jira:issue_created"))
