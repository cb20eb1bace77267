"""The JSON Jira sends and takes: people, seed tickets, webhooks, checks of a comment's body."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiops_demo.simulators.base import Json, Proof
from aiops_demo.simulators.jql import parsed
from aiops_demo.simulators.richtext import adf_error, as_adf, as_wiki

PORTAL_FIELD = "customfield_10010"
"""The request type, which only tickets raised through a portal have."""

INTERNAL_PROPERTY = "sd.public.comment"
MAX_PROPERTY_KEY = 255
MAX_PROPERTY_VALUE = 32_768
EVENTS = {
    "opened": ("jira:issue_created", "issue_created"),
    "updated": ("jira:issue_updated", "issue_generic"),
    "resolved": ("jira:issue_updated", "issue_generic"),
    "commented": ("comment_created", None),
}


def user(name: str, email: str, edition: str) -> Json:
    """Return a Jira user; the same name always gives the same account."""
    number = hashlib.sha256((name or email).lower().encode()).hexdigest()[:24]
    person = {"displayName": name, "emailAddress": email, "active": True, "timeZone": "Europe/London"}
    if edition == "cloud":
        return {"accountId": number, "accountType": "atlassian", **person}
    return {"name": email.partition("@")[0], "key": f"JIRAUSER{int(number[:6], 16)}", **person}


def issue_of(neutral: Mapping[str, Any], *, number: str, edition: str) -> Json:
    """Return a seed ticket as an issue; its resolution is the technician's last public comment."""
    key = str(neutral["ticket_id"])
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*-\d+", key):
        key = f"OPS-{re.sub(r'[^0-9]', '', key) or number}"
    done = bool(neutral.get("resolution") or neutral.get("resolved_at"))
    created = jira_time(neutral.get("created_at")) or now()
    resolved = (jira_time(neutral.get("resolved_at")) or created) if done else None
    technician = _person(neutral.get("technician"), edition)
    body = neutral.get("description") or ""
    project = key.rpartition("-")[0]
    fields: Json = {
        "summary": neutral["title"],
        "description": as_adf(body) if neutral.get("description_format") == "adf-paragraphs" else body,
        "issuetype": {"name": "[System] Incident"},
        "project": {"key": project, "name": project},
        "priority": {"name": neutral.get("priority") or "Medium"},
        "status": _status("Resolved", "done") if done else _status("Open", "new"),
        "reporter": _person(neutral.get("requester"), edition),
        "assignee": technician,
        "labels": [],
        "components": [{"name": neutral["category"]}] if neutral.get("category") else [],
        "created": created,
        "updated": resolved or created,
        "resolutiondate": resolved,
        "resolution": {"name": "Done"} if done else None,
        PORTAL_FIELD: {"requestType": {"name": "Get IT help"}},
    }
    if neutral.get("resolution"):
        author = technician or user("Service Desk", "service.desk@northquay.example", edition)
        comment = {"author": author, "body": neutral["resolution"], "created": resolved}
        fields["comment"] = {"comments": [comment]}
    return {"id": number, "key": key, "fields": fields}


def webhook(ticket: Json, kind: str, *, proof: Proof, note: Json | None = None) -> tuple[dict[str, str], bytes]:
    """Return an administrator's webhook: ``X-Hub-Signature`` over the raw body where there is a secret. Pure."""
    event, event_type = EVENTS[kind]
    fields = ticket.get("fields") or {}
    moment = parsed((note or {}).get("created") or fields.get("updated") or fields.get("created"))
    body: Json = {"timestamp": int(moment.timestamp() * 1000) if moment else 0, "webhookEvent": event}
    shown = {**fields, **({"description": as_wiki(fields["description"])} if "description" in fields else {})}
    body["issue"] = {**ticket, "fields": shown}
    if kind == "commented" and note is not None:
        body["comment"] = {k: as_wiki(v) if k == "body" else v for k, v in note.items() if k != "properties"}
    else:
        body["issue_event_type_name"] = event_type
        body |= {"user": fields["reporter"]} if fields.get("reporter") else {}
    if kind in {"updated", "resolved"}:
        body["changelog"] = _changelog(kind, body["timestamp"])
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return _webhook_headers(raw, proof), raw


def body_error(body: Any, version: str) -> str | None:
    """Return why an API version refuses a comment's body, ``None`` when it takes it."""
    if version == "3":
        error = adf_error(body)
        return f"Comment body is not valid! It {error}." if error else None
    return None if isinstance(body, str) and body.strip() else "Comment body can not be empty!"


def properties_error(properties: Any) -> str | None:
    """Return why a comment's properties are refused, ``None`` when they are fine."""
    if not isinstance(properties, list):
        return "properties is no list"
    for item in properties:
        if not isinstance(item, dict) or not isinstance(item.get("key"), str) or "value" not in item:
            return "a property needs key and value"
        if len(item["key"]) > MAX_PROPERTY_KEY or len(json.dumps(item["value"])) > MAX_PROPERTY_VALUE:
            return f"the property {item['key'][:40]} is too long"
    return None


def jira_time(value: Any) -> str | None:
    """Return an ISO 8601 time as Jira writes it, ``None`` for nothing."""
    if not value:
        return None
    moment = datetime.fromisoformat(str(value))
    return _stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def now() -> str:
    """Return the present as Jira writes it."""
    return _stamp(datetime.now(UTC))


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}{moment:%z}"


def _person(value: Any, edition: str) -> Json | None:
    if isinstance(value, Mapping):
        return user(str(value.get("name") or ""), str(value.get("email") or ""), edition)
    return user(str(value), f"{str(value).lower().replace(' ', '.')}@northquay.example", edition) if value else None


def _status(name: str, category: str) -> Json:
    return {"name": name, "statusCategory": {"key": category}}


def _changelog(kind: str, timestamp: int) -> Json:
    if kind == "updated":
        return {"id": str(timestamp), "items": [{"field": "priority", "fromString": "Medium", "toString": "High"}]}
    done = {"field": "status", "from": "1", "fromString": "Open", "to": "5", "toString": "Resolved"}
    resolution = {"field": "resolution", "from": None, "fromString": None, "to": "10000", "toString": "Done"}
    return {"id": str(timestamp), "items": [done, resolution]}


def _webhook_headers(raw: bytes, proof: Proof) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json; charset=UTF-8",
        "User-Agent": "Atlassian Webhook HTTP Client",
        "X-Atlassian-Webhook-Flow": "Primary",
        "X-Atlassian-Webhook-Identifier": str(uuid.UUID(bytes=hashlib.sha256(raw).digest()[:16], version=4)),
        **proof.headers,
    }
    if proof.secret:
        headers["X-Hub-Signature"] = "sha256=" + hmac.digest(proof.secret.encode(), raw, "sha256").hex()
    return headers
