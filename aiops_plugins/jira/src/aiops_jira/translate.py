"""From Jira's JSON to the core's records."""

from __future__ import annotations

from typing import Any

import msgspec

from aiops_core.compose import TITLE
from aiops_core.errors import PayloadInvalid, TicketingUnavailable
from aiops_core.ticketing import WebhookRequest
from aiops_core.tickets import Person, Priority, Ticket, TicketComment, TicketKind, TicketMetadata, TicketState
from aiops_jira.config import AutomationMapping, JiraConfig
from aiops_jira.markup import body_text, plain_text
from aiops_jira.wire import (
    DELIVERY_HEADER,
    INTERNAL_PROPERTY,
    account_id,
    at,
    objects,
    ticket_key,
    time,
    word,
)

MAX_COMMENTS = 20
MAX_COMMENT_TEXT = 4_000

FIELDS = (
    "summary", "description", "issuetype", "project", "priority", "status", "reporter", "assignee", "labels",
    "components", "created", "updated", "resolutiondate", "resolution", "comment",
)  # fmt: skip

PRIORITIES: dict[str, Priority] = {
    "highest": "critical", "blocker": "critical", "critical": "critical", "urgent": "critical",
    "high": "high", "major": "high",
    "medium": "medium", "normal": "medium",
    "low": "low", "minor": "low", "lowest": "low", "trivial": "low",
}  # fmt: skip

EVENTS: dict[str, TicketKind] = {
    "opened": "opened", "created": "opened", "issue_created": "opened", "jira:issue_created": "opened",
    "updated": "updated", "edited": "updated", "issue_updated": "updated", "jira:issue_updated": "updated",
    "issue_generic": "updated", "issue_assigned": "updated", "transitioned": "updated",
    "resolved": "resolved", "closed": "resolved", "done": "resolved",
    "issue_resolved": "resolved", "issue_closed": "resolved",
    "commented": "commented", "issue_commented": "commented", "issue_comment_edited": "commented",
    "comment_created": "commented", "comment_updated": "commented",
}  # fmt: skip
"""Jira's words for events, and those an administrator is likely to type."""


def wanted_fields(config: JiraConfig) -> str:
    """Return the fields to ask for, joined by commas."""
    extra = (config.category_field, config.organization_field, *config.resolution_fields)
    return ",".join([*FIELDS, *(field for field in extra if field)])


def ticket(issue: Any, config: JiraConfig) -> Ticket:
    """Return an issue as a ticket; fields that are missing or of a strange shape are left out.

    Raises:
        TicketingUnavailable: The answer is no issue.
    """
    key = ticket_key(at(issue, "key")) or ticket_key(at(issue, "id"))
    if key is None:
        raise TicketingUnavailable("Jira answered something that is no issue: it has neither key nor id.")
    fields = at(issue, "fields")
    state = _state(fields)
    comments = _comments(fields)
    return Ticket(
        id=key,
        title=plain_text(at(fields, "summary")) or "(no title)",
        description=body_text(at(fields, "description")),
        url=f"{(config.browse_url or config.base_url).rstrip('/')}/browse/{key}",
        state=state,
        status_word=word(fields, "status", "name"),
        priority=priority(word(fields, "priority", "name")),
        priority_word=word(fields, "priority", "name"),
        category=_category(fields, config),
        requester=person(at(fields, "reporter")),
        technician=person(at(fields, "assignee")),
        site=_names(fields, config.organization_field),
        labels=_labels(fields),
        comments=comments[:MAX_COMMENTS],
        resolution=_resolution(fields, comments, config) if state == "resolved" else None,
        created_at=time(at(fields, "created")),
        updated_at=time(at(fields, "updated")),
        resolved_at=time(at(fields, "resolutiondate")),
        revision=word(fields, "updated"),
    )


def priority(name: str | None) -> Priority:
    """Return the normalised priority of a Jira priority's name, such as ``P2 - High`` or ``Blocker``."""
    for part in (name or "").lower().replace("-", " ").split():
        if part in PRIORITIES:
            return PRIORITIES[part]
    return "unknown"


def person(value: Any) -> Person | None:
    """Return a Jira user, ``None`` when there is none."""
    found = Person(id=account_id(value), name=word(value, "displayName"), email=word(value, "emailAddress"))
    return found if found.id or found.name or found.email else None


def metadata(request: WebhookRequest, config: JiraConfig) -> TicketMetadata:
    """Return what a webhook says of itself: Jira's own body, or an Automation rule's by the mapping.

    Raises:
        PayloadInvalid: The body is no JSON object or names no ticket.
    """
    body = _decoded(request.body)
    delivery_id = word(dict(request.headers), DELIVERY_HEADER)
    if isinstance(at(body, "webhookEvent"), str):
        return _native(body, delivery_id)
    return _automation(body, config.automation, delivery_id)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadInvalid(f"The body is no JSON object: {error}.") from None


def _native(body: dict[str, Any], delivery_id: str | None) -> TicketMetadata:
    event = word(body, "webhookEvent")
    key = ticket_key(at(body, "issue", "key")) or ticket_key(at(body, "issue", "id"))
    if key is None:
        raise PayloadInvalid(f"The event {event} names no ticket.")
    comment = at(body, "comment")
    kind = _kind(body)
    author = at(comment, "updateAuthor") or at(comment, "author")
    return TicketMetadata(
        ticket_id=key,
        kind=kind,
        delivery_id=delivery_id,
        actor_id=account_id(at(body, "user")) or account_id(author),
        revision=_revision(body, kind),
        occurred_at=time(at(body, "timestamp")),
    )


def _kind(body: dict[str, Any]) -> TicketKind:
    event = word(body, "webhookEvent") or ""
    if event != "jira:issue_updated":
        return EVENTS.get(event, "other")
    named = EVENTS.get(word(body, "issue_event_type_name") or "", "updated")
    if named == "resolved" or _became_done(body):
        return "resolved"
    if named == "commented" or (at(body, "comment") and not objects(body, "changelog", "items")):
        return "commented"
    return "updated"


def _became_done(body: dict[str, Any]) -> bool:
    """Return whether this very change gave a resolution or moved the status to one that is done."""
    done = at(body, "issue", "fields", "status", "statusCategory", "key") == "done"
    for item in objects(body, "changelog", "items"):
        field, target = word(item, "field"), word(item, "to") or word(item, "toString")
        if target and (field == "resolution" or (field == "status" and done)):
            return True
    return False


def _revision(body: dict[str, Any], kind: TicketKind) -> str | None:
    comment = at(body, "comment")
    if kind == "commented" and word(comment, "id"):
        return f"comment {word(comment, 'id')} {word(comment, 'updated') or ''}".strip()
    changed = word(body, "changelog", "id") or word(body, "issue", "fields", "updated")
    return changed or word(body, "timestamp")


def _automation(body: dict[str, Any], mapping: AutomationMapping, delivery_id: str | None) -> TicketMetadata:
    key = ticket_key(_mapped(body, mapping.ticket)) or ticket_key(at(body, "issue", "key"))
    if key is None:
        raise PayloadInvalid(f"The body has no ticket key at {mapping.ticket!r}; check the rule's body or the mapping.")
    event = word({"event": _mapped(body, mapping.event)}, "event")
    revision = word({"revision": _mapped(body, mapping.revision)}, "revision") or word(body, "fields", "updated")
    return TicketMetadata(
        ticket_id=key,
        kind=EVENTS.get(event.lower(), "other") if event else mapping.default_event,
        delivery_id=delivery_id,
        actor_id=word({"actor": _mapped(body, mapping.actor)}, "actor"),
        revision=revision,
        occurred_at=time(revision),
    )


def _mapped(body: dict[str, Any], path: str) -> Any:
    return at(body, *path.split("."))


def _state(fields: Any) -> TicketState:
    category = at(fields, "status", "statusCategory", "key")
    if category == "done" or at(fields, "resolution", "name"):
        return "resolved"
    return "open" if category in {"new", "indeterminate"} else "unknown"


def _category(fields: Any, config: JiraConfig) -> str | None:
    chosen = _names(fields, config.category_field)
    component = next((name for item in objects(fields, "components") if (name := word(item, "name"))), None)
    return chosen or component or word(fields, "issuetype", "name")


def _names(fields: Any, field: str | None) -> str | None:
    """Return the text of a custom field: a text, an option, a list of them; nested options joined by a slash."""
    value = at(fields, field) if field else None
    values = value if isinstance(value, list) else [value]
    names = [name for item in values if (name := _option(item))]
    return ", ".join(names) or None


def _option(value: Any) -> str | None:
    if not isinstance(value, dict):
        return word({"value": value}, "value")
    name = word(value, "name") or word(value, "value") or word(value, "requestType", "name")
    child = word(value, "child", "value")
    return f"{name} / {child}" if name and child else name


def _labels(fields: Any) -> tuple[str, ...]:
    labels = at(fields, "labels")
    return (
        tuple(text for label in labels if (text := word({"label": label}, "label"))) if isinstance(labels, list) else ()
    )


def _comments(fields: Any) -> tuple[TicketComment, ...]:
    """Return all comments with a text, newest first."""
    found = [comment for item in objects(fields, "comment", "comments") if (comment := _comment(item)) is not None]
    dated = sorted(found, key=lambda comment: comment.created_at.timestamp() if comment.created_at else 0.0)
    return tuple(reversed(dated))


def _comment(item: dict[str, Any]) -> TicketComment | None:
    text = body_text(at(item, "body"))[:MAX_COMMENT_TEXT]
    if not text:
        return None
    return TicketComment(
        text=text, author=person(at(item, "author")), created_at=time(at(item, "created")), internal=_internal(item)
    )


def _internal(item: dict[str, Any]) -> bool:
    flags = [at(p, "value", "internal") for p in objects(item, "properties") if at(p, "key") == INTERNAL_PROPERTY]
    return at(item, "jsdPublic") is False or True in flags


def _resolution(fields: Any, newest_first: tuple[TicketComment, ...], config: JiraConfig) -> str | None:
    """Return how it was resolved: the fields chosen for it, else the last public comment not by the requester.

    Our own notes are no resolution, nor is the resolution's bare name (``Done``).
    """
    texts = [body_text(at(fields, field)) or _names(fields, field) for field in config.resolution_fields]
    if chosen := "\n".join(text for text in texts if text):
        return chosen
    requester = account_id(at(fields, "reporter"))
    for comment in newest_first:
        by_requester = requester is not None and comment.author is not None and comment.author.id == requester
        if not (comment.internal or by_requester or comment.text.startswith(TITLE)):
            return comment.text
    return None
