"""Webhooks whose fields an administrator chose are read, proven and told apart."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from aiops_core.config import Secret, load_config
from aiops_core.errors import PayloadInvalid, WebhookRejected
from aiops_core.markers import new_reference, shown
from aiops_core.testing.fakes import FakeServices
from aiops_core.ticketing import WebhookRequest
from aiops_core.tickets import TicketMetadata
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.setup_help import SETUP_HELP, TEMPLATE
from aiops_servicedesk.ticketing import ServiceDeskTool
from aiops_servicedesk.webhook import read_webhook

FORM = "application/x-www-form-urlencoded"
GOOD: dict[str, Any] = {"event": "created", "ticket_id": "20417", "last_updated": "1770106332000", "actor_id": "301"}


def configured(**values: object) -> ServiceDeskConfig:
    """Return a connection's configuration."""
    return load_config(ServiceDeskConfig, {"base_url": "https://desk.example", "technician_key": "k", **values})


def webhook(body: object = None, *, content_type: str = "application/json", **more: Any) -> WebhookRequest:
    """Return a webhook; a body that is neither bytes nor text is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(GOOD if body is None else body).encode()
    headers = {"content-type": content_type, **more.pop("headers", {})}
    return WebhookRequest(headers=headers, body=raw, received_at=datetime(2026, 2, 3, tzinfo=UTC), **more)


def read(body: object = None, config: ServiceDeskConfig | None = None, **more: Any) -> TicketMetadata:
    """Read a webhook."""
    return read_webhook(webhook(body, **more), config or configured())


def test_the_recommended_template_is_read() -> None:
    """The defaults fit the body that the set-up help prints."""
    filled = TEMPLATE.replace("$RequestId", "20417").replace("$LastUpdatedTime", "1770106332000")
    assert read(filled.replace("$UpdatedById", "301").encode()) == TicketMetadata(
        ticket_id="20417",
        kind="opened",
        delivery_id=hashlib.sha256(b"20417\ncreated\n1770106332000").hexdigest(),
        actor_id="301",
        revision="1770106332000",
        occurred_at=datetime(2026, 2, 3, 8, 12, 12, tzinfo=UTC),
    )
    assert TEMPLATE in SETUP_HELP


def test_other_field_names_are_mapped() -> None:
    """Dotted paths lead to the fields of any body; numbers are taken as text."""
    config = configured(
        ticket_id_field="data.request.id",
        event_field="data.what",
        revision_field="data.request.changed",
        actor_field="by.id",
        event_words={"Neu Angelegt": "opened"},
    )
    body = {"data": {"what": "neu angelegt", "request": {"id": 77, "changed": 5}}, "by": {"id": 9}, "x": [1]}
    metadata = read(body, config)
    assert (metadata.ticket_id, metadata.kind, metadata.revision, metadata.actor_id) == ("77", "opened", "5", "9")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("created", "opened"),
        ("CREATED", "opened"),
        (" updated ", "updated"),
        ("resolved", "resolved"),
        ("closed", "resolved"),
        ("noted", "commented"),
        ("archived", "other"),
    ],
)
def test_event_words_are_kinds(word: str, kind: str) -> None:
    """Common words for events are known; another word is no event of ours."""
    assert read({**GOOD, "event": word}).kind == kind


def test_an_own_word_wins() -> None:
    """The connection's meaning of a word goes before ours."""
    assert read({**GOOD, "event": "Assigned"}, configured(event_words={"assigned": "opened"})).kind == "opened"


@pytest.mark.parametrize("missing", ["ticket_id", "event"])
def test_a_missing_field_is_named(missing: str) -> None:
    """Without its ticket or event the webhook is refused with the field's name."""
    body = {name: value for name, value in GOOD.items() if name != missing}
    with pytest.raises(PayloadInvalid, match=f"no field {missing}"):
        read(body)


@pytest.mark.parametrize("value", ["$RequestId", "${request.id}", "$RequestID  "])
def test_a_variable_that_was_not_filled_in_is_named(value: str) -> None:
    """A template variable the portal does not know is told to the administrator."""
    with pytest.raises(PayloadInvalid, match="ticket_id was not filled in"):
        read({**GOOD, "ticket_id": value})


@pytest.mark.parametrize("value", ["12/../13", "abc", "", " ", "1" * 21, True, None, -4, 1.5, [], {}, "\uff11\uff12"])
def test_only_digits_are_a_ticket(value: object) -> None:
    """Anything but digits under the ticket's field is refused."""
    with pytest.raises(PayloadInvalid, match="ticket_id"):
        read({**GOOD, "ticket_id": value})


def test_free_text_that_breaks_the_json_is_explained() -> None:
    """A quotation mark in an unescaped subject is answered with what to change."""
    with pytest.raises(PayloadInvalid, match="free text"):
        read(b'{"event": "created", "ticket_id": "1", "subject": "the "new" printer"}')


def test_deep_nesting_is_refused() -> None:
    """A body nested beyond reason is refused, not an internal error."""
    with pytest.raises(PayloadInvalid):
        read(b'{"a":' * 100_000)


def test_forms_are_read() -> None:
    """A webhook sent as form data reads like one sent as JSON."""
    body = b"event=created&ticket_id=20417&last_updated=1770106332000&actor_id=301&note=a%20b"
    assert read(body, content_type=FORM + "; charset=UTF-8") == read()


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"&".join(b"f%d=1" % n for n in range(300))])
def test_unreadable_forms_are_refused(body: bytes) -> None:
    """A form of foreign bytes or of hundreds of fields is refused."""
    with pytest.raises(PayloadInvalid, match="form"):
        read(body, content_type=FORM)


def test_url_parameters_are_read() -> None:
    """Fields may stand in the address; the body's go before them."""
    query = {**GOOD, "actor_id": "1"}
    assert read(b"", query=query).actor_id == "1"
    assert read({"actor_id": "2"}, query=query).actor_id == "2"


def test_a_resent_webhook_has_the_same_id() -> None:
    """The id of a webhook without one of its own tells ticket, event and last update apart, and nothing else."""
    first = read().delivery_id
    assert read({**GOOD, "actor_id": "9", "extra": 1}).delivery_id == first
    for name, other in (("ticket_id", "20418"), ("event", "updated"), ("last_updated", "1770106332001")):
        assert read({**GOOD, name: other}).delivery_id != first


def test_an_update_without_its_time_has_no_id() -> None:
    """Two updates that cannot be told apart are not taken for one; a ticket is created once only."""
    undated = {name: value for name, value in GOOD.items() if name != "last_updated"}
    assert read({**undated, "event": "updated"}).delivery_id is None
    assert read({**undated, "last_updated": "$LastUpdatedTime", "event": "updated"}).revision is None
    assert read(undated).delivery_id is not None


@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_our_own_reference_is_found(content_type: str) -> None:
    """A note of ours that comes back in a webhook is recognised by its reference."""
    reference = new_reference()
    text = f"Reference: {shown(reference)} (main)"
    form = f"event=noted&ticket_id=1&note=Reference%3A+{shown(reference)}+%28main%29".encode()
    body = form if content_type == FORM else {**GOOD, "event": "noted", "note": {"text": text}}
    assert read(body, content_type=content_type).effect_reference == reference
    assert read(query={"note": text}).effect_reference == reference
    assert read().effect_reference is None


def tool(**values: object) -> ServiceDeskTool:
    """Return a tool with two live webhook secrets."""
    secrets = [Secret.of("new-secret-0f1e2d"), Secret.of("old-secret-3c4b5a")]
    return ServiceDeskTool(configured(**values), FakeServices(webhook_secrets=secrets))


def test_the_header_may_have_another_name() -> None:
    """The secret is looked for under the configured header only."""
    proven = webhook(headers={"authorization": "old-secret-3c4b5a"})
    assert tool(proof_header="Authorization").validate_webhook(proven).secret_index == 1
    with pytest.raises(WebhookRejected, match="X-AIOps-Webhook-Secret"):
        tool().validate_webhook(proven)


def test_a_header_is_no_signature() -> None:
    """Where webhooks are to be signed, the bare secret proves nothing."""
    proven = webhook(headers={"x-aiops-webhook-secret": "new-secret-0f1e2d"})
    assert tool().validate_webhook(proven).scheme == "static-header"
    with pytest.raises(WebhookRejected):
        tool(proof="signed").validate_webhook(proven)


def test_a_signed_webhook_has_an_id_of_its_own() -> None:
    """The signed id is the webhook's id."""
    signed = replace(webhook(), headers={"webhook-id": "msg_1"})
    assert tool(proof="signed").extract_metadata(signed).delivery_id == "msg_1"
    assert tool().extract_metadata(signed).delivery_id != "msg_1"
