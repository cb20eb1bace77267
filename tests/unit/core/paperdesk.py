"""Paperdesk: a ticketing tool that exists for these tests only, and its other side in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec

from aiops_core import (
    AuthenticationFailed,
    EffectMarker,
    EffectUnknown,
    Enhancement,
    Health,
    HttpFailed,
    HttpResponse,
    PayloadInvalid,
    RemoteRef,
    Ticket,
    TicketingRefused,
    TicketingServices,
    TicketingToolPlugin,
    TicketingUnavailable,
    TicketMetadata,
    TicketNotFound,
    TicketQuery,
    WebhookProof,
    WebhookRequest,
    plain_text,
)
from aiops_core.signatures import hmac_sha256, verify_hex_hmac
from aiops_core.testing.fakes import Answer, SentRequest
from aiops_core.testing.ticketing import Fault, PostedNote

SIGNATURE = "x-paper-signature"
BASE = "https://paperdesk.example"


class _Webhook(msgspec.Struct, frozen=True):
    ticket: str
    kind: str


@dataclass
class PaperdeskServer:
    """Paperdesk's side: tickets, notes, and the faults it was told to show."""

    fault: Fault | None = None
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open five tickets, every second one resolved."""
        start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
        self.tickets = {
            str(n): {"id": str(n), "title": f"Paper jam {n}", "done": n % 2 == 0, "at": start + timedelta(hours=n)}
            for n in range(1, 6)
        }

    def answer(self, request: SentRequest) -> HttpResponse:
        """Answer as Paperdesk would."""
        if self.fault == "throttle":
            return Answer(429, headers={"Retry-After": "7"})
        if self.fault == "unauthorised":
            return Answer(401)
        path = request.url.removeprefix(BASE).strip("/").split("/")
        if path == ["tickets"]:
            return self._listed(request)
        if len(path) < 2 or path[1] not in self.tickets:
            return Answer(404)
        if len(path) == 2:
            return Answer(json=self.tickets[path[1]])
        return self._notes(request, path[1], path[3:])

    def posted(self, ticket_id: str) -> list[PostedNote]:
        """Return the notes on a ticket."""
        return [PostedNote(text=n["text"], internal=n["internal"]) for n in self.notes.get(ticket_id, [])]

    def _listed(self, request: SentRequest) -> Answer:
        start, size = int(request.params["start"]), int(request.params["size"])
        return Answer(json=list(self.tickets.values())[start : start + size])

    def _notes(self, request: SentRequest, ticket_id: str, rest: Sequence[str]) -> Answer:
        notes = self.notes.setdefault(ticket_id, [])
        if request.method == "GET":
            return Answer(json=notes)
        if request.method == "DELETE":
            notes[:] = [n for n in notes if n["id"] != rest[0]]
            return Answer(204)
        note = {"id": f"{ticket_id}-{len(notes)}", **msgspec.json.decode(request.content)}
        notes.append(note)
        if self.fault == "drop_after_apply":
            raise HttpFailed("The connection was lost.", sent=True)
        return Answer(500 if self.fault == "error_after_apply" else 201, json=note)


class Paperdesk(TicketingToolPlugin):
    """The ticketing tool."""

    def __init__(self, services: TicketingServices) -> None:
        """Take what the host hands in."""
        self._services = services

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Verify the HMAC of the body."""
        header = request.headers.get(SIGNATURE)
        secrets = self._services.webhook_secrets
        index = verify_hex_hmac(request.body, header, secrets, name=SIGNATURE, prefix="sha256=")
        return WebhookProof(scheme="hmac", secret_index=index)

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Read ticket and kind."""
        try:
            webhook = msgspec.json.decode(request.body, type=_Webhook)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise PayloadInvalid(f"Not a Paperdesk webhook: {error}") from None
        if not webhook.ticket:
            raise PayloadInvalid("The webhook names no ticket.")
        return TicketMetadata(ticket_id=webhook.ticket, kind="opened" if webhook.kind == "new" else "other")

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Read one ticket."""
        return _ticket((await self._call("GET", f"tickets/{quote(ticket_id, safe='')}")).content)

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Post one internal note."""
        note = {"text": plain_text(enhancement), "internal": True, "marker": marker.reference}
        answer = await self._call("POST", f"tickets/{quote(ticket_id, safe='')}/notes", note)
        return RemoteRef(id=msgspec.json.decode(answer.content)["id"])

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        """Find our notes by the field that carries the marker."""
        notes = msgspec.json.decode((await self._call("GET", f"tickets/{ticket_id}/notes")).content)
        return [RemoteRef(id=n["id"]) for n in notes if n["marker"] == marker.reference]

    async def delete_effect(self, ticket_id: str, ref: RemoteRef) -> None:
        """Delete a note."""
        await self._call("DELETE", f"tickets/{ticket_id}/notes/{ref.id}")

    async def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        """Read page after page."""
        start = 0
        while page := await self._page(start, query.page_size):
            for ticket in page:
                resolved = ticket.state == "resolved" or not query.resolved_only
                since = query.updated_since
                if resolved and (since is None or (ticket.updated_at and ticket.updated_at >= since)):
                    yield ticket
            start += len(page)

    async def check_health(self) -> Health:
        """Read one page."""
        try:
            await self._page(0, 1)
        except AuthenticationFailed as error:
            return Health(status="failed", detail=str(error))
        return Health(status="ok", detail="Paperdesk answers.")

    async def _page(self, start: int, size: int) -> list[Ticket]:
        answer = await self._call("GET", "tickets", params={"start": str(start), "size": str(size)})
        return [_ticket(msgspec.json.encode(item)) for item in msgspec.json.decode(answer.content)]

    async def _call(self, method: str, path: str, body: object = None, params: Any = None) -> HttpResponse:
        content = None if body is None else msgspec.json.encode(body)
        try:
            answer = await self._services.http.request(method, f"{BASE}/{path}", content=content, params=params)
        except HttpFailed as error:
            raise (EffectUnknown if error.sent and method == "POST" else TicketingUnavailable)(str(error)) from error
        match answer.status_code:
            case 401:
                raise AuthenticationFailed("Paperdesk refuses the key.")
            case 404:
                raise TicketNotFound()
            case 429:
                raise TicketingUnavailable(retry_after=float(answer.headers["retry-after"]))
            case status if status >= 500:
                raise EffectUnknown() if method == "POST" else TicketingUnavailable()
            case status if status >= 400:
                raise TicketingRefused(f"Paperdesk answers {status}.")
        return answer


def signed(body: bytes, secret: str) -> WebhookRequest:
    """Return a webhook as Paperdesk signs it."""
    headers = {SIGNATURE: "sha256=" + hmac_sha256(secret, body).hex()}
    return WebhookRequest(headers=headers, body=body, received_at=datetime(2026, 3, 2, 12, 0, tzinfo=UTC))


def _ticket(content: bytes) -> Ticket:
    data = msgspec.json.decode(content)
    at = datetime.fromisoformat(re.sub("Z$", "+00:00", data["at"]))
    return Ticket(id=data["id"], title=data["title"], state="resolved" if data["done"] else "open", updated_at=at)
