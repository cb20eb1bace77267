"""Jira's names on the wire, and reading JSON whose shape nobody warrants.

Source: developer.atlassian.com, Jira Cloud platform REST API v3, Jira Data Center REST API v2, Webhooks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

SIGNATURE_HEADER = "x-hub-signature"
SIGNATURE_PREFIX = "sha256="
DELIVERY_HEADER = "x-atlassian-webhook-identifier"

INTERNAL_PROPERTY = "sd.public.comment"
INTERNAL_VALUE = {"internal": True}
MARKER_PROPERTY = "aiops.effect"
MARKER_VERSION = 1

ENGLISH = {"Accept-Language": "en", "X-Force-Accept-Language": "true"}
"""Names of priorities and statuses come in the account's language otherwise."""

LOGIN_REASON_HEADER = "x-seraph-loginreason"
LOGIN_FAILED = ("AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED")

MAX_WORD = 255
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}-[0-9]{1,12}|[0-9]{1,18}")
_OFFSET = re.compile(r"([+-]\d\d):?(\d\d)$")


def at(value: Any, *path: str) -> Any:
    """Return what lies at ``path`` through nested objects, ``None`` where there is none."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def word(value: Any, *path: str) -> str | None:
    """Return a short text or number at ``path`` as a trimmed text without control characters, else ``None``."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    text = "".join(c for c in str(found)[:MAX_WORD] if c.isprintable()).strip()
    return text or None


def objects(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at ``path``."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def ticket_key(value: Any) -> str | None:
    """Return ``value`` if it can be a ticket's key or id, safe to put in a path."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _KEY.fullmatch(text) else None


def time(value: Any) -> datetime | None:
    """Return Jira's ``2026-03-01T09:30:00.000+0100``, or milliseconds since 1970, as a time; else ``None``."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(_OFFSET.sub(r"\1:\2", value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def account_id(person: Any) -> str | None:
    """Return what names an account in webhooks and answers alike: Cloud's id, Data Center's key or name."""
    return word(person, "accountId") or word(person, "key") or word(person, "name")
