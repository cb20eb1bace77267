"""What a ServiceDesk Plus webhook says: the administrator chooses its fields, so they are found by dotted paths."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from aiops_core.errors import PayloadInvalid
from aiops_core.markers import find_reference
from aiops_core.ticketing import WebhookRequest
from aiops_core.tickets import TicketKind, TicketMetadata
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.translate import moment_of, ticket_id_of
from aiops_servicedesk.wire import FORM, Moment, decode

EVENT_WORDS: Final[Mapping[str, TicketKind]] = {
    "created": "opened",
    "added": "opened",
    "opened": "opened",
    "new": "opened",
    "updated": "updated",
    "edited": "updated",
    "assigned": "updated",
    "reopened": "updated",
    "resolved": "resolved",
    "closed": "resolved",
    "completed": "resolved",
    "noted": "commented",
    "note_added": "commented",
    "commented": "commented",
    "replied": "commented",
}
MAX_TEXT: Final = 200
MAX_FORM_FIELDS: Final = 200
_VARIABLE = re.compile(r"\$\{?[A-Za-z]")


def read_webhook(request: WebhookRequest, config: ServiceDeskConfig) -> TicketMetadata:
    """Return what the webhook says.

    Raises:
        PayloadInvalid: It is neither JSON nor a form, or a mapped field is missing; the message names the field.
    """
    fields = _fields(request)
    ticket_id = _ticket_id(fields, config.ticket_id_field)
    word = _required(fields, config.event_field)
    revision = _text(fields, config.revision_field)
    return TicketMetadata(
        ticket_id=ticket_id,
        kind=_kind(word, config),
        delivery_id=_delivery_id(request, config, (ticket_id, word, revision)),
        actor_id=_text(fields, config.actor_field),
        revision=revision,
        occurred_at=moment_of(Moment(value=revision)) if revision else None,
        effect_reference=_reference(request, fields),
    )


def _fields(request: WebhookRequest) -> dict[str, Any]:
    """Return the body's fields over those of the address."""
    named: dict[str, Any] = dict(request.query)
    if not request.body.strip():
        return named
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return {**named, **(_form(request.body) if content_type == FORM else _json(request.body))}


def _form(body: bytes) -> dict[str, Any]:
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=MAX_FORM_FIELDS))
    except ValueError:
        raise PayloadInvalid("The webhook's form cannot be read: it is not UTF-8 or has too many fields.") from None


def _json(body: bytes) -> dict[str, Any]:
    try:
        return decode(body, dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise PayloadInvalid(
            f"The webhook's body is not a JSON object: {error}. Keep free text such as the subject out of the template,"
            " a quotation mark in it breaks the JSON."
        ) from None


def _found(fields: Mapping[str, Any], path: str) -> Any:
    if path in fields:
        return fields[path]
    value: Any = fields
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(fields: Mapping[str, Any], path: str) -> str | None:
    value = _found(fields, path)
    if not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text[:MAX_TEXT] if text and not _VARIABLE.match(text) else None


def _required(fields: Mapping[str, Any], path: str) -> str:
    text = _text(fields, path)
    if text is None:
        value = _found(fields, path)
        if isinstance(value, str) and _VARIABLE.match(value):
            raise PayloadInvalid(
                f"The webhook's field {path} was not filled in; pick its variable from the list in ServiceDesk Plus."
            )
        raise PayloadInvalid(f"The webhook's body has no field {path}; add it or map another one in the connection.")
    return text


def _ticket_id(fields: Mapping[str, Any], path: str) -> str:
    ticket_id = ticket_id_of(_required(fields, path))
    if ticket_id is None:
        raise PayloadInvalid(f"The webhook's field {path} is no ticket id: ids of ServiceDesk Plus are digits.")
    return ticket_id


def _kind(word: str, config: ServiceDeskConfig) -> TicketKind:
    own = {key.strip().casefold(): kind for key, kind in config.event_words.items()}
    key = word.casefold()
    return own.get(key) or EVENT_WORDS.get(key, "other")


def _delivery_id(request: WebhookRequest, config: ServiceDeskConfig, parts: tuple[str, str, str | None]) -> str | None:
    """Return the signed id, or one made of ticket, event and last update: the product's own webhooks have none."""
    if config.proof == "signed":
        return request.headers.get("webhook-id")
    ticket_id, word, revision = parts
    if revision is None and _kind(word, config) != "opened":
        return None
    return hashlib.sha256("\n".join((ticket_id, word.casefold(), revision or "")).encode()).hexdigest()


def _reference(request: WebhookRequest, fields: Mapping[str, Any]) -> str | None:
    decoded = " ".join(value for value in fields.values() if isinstance(value, str))
    return find_reference(f"{request.body.decode(errors='replace')} {decoded}")
