"""The contract's methods over Paperdesk's plain text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

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
    WebhookProof,
    WebhookRequest,
    plain_text,
)
from aiops_core.signatures import verify_hex_hmac
from aiops_core.tickets import TicketKind

if TYPE_CHECKING:
    from aiops_paperdesk.plugin import PaperdeskConfig

SEAL = "paper-seal"
EVENTS: dict[str, TicketKind] = {"filed": "opened", "amended": "updated", "archived": "resolved", "slip": "commented"}


class Paperdesk(TicketingToolPlugin):
    """One office."""

    def __init__(self, config: PaperdeskConfig, services: TicketingServices) -> None:
        """Take the office's address and key."""
        self._config = config
        self._services = services

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Verify the seal of the form."""
        secrets = self._services.webhook_secrets
        index = verify_hex_hmac(request.body, request.headers.get(SEAL), secrets, name=SEAL, prefix="")
        return WebhookProof(scheme="seal", secret_index=index)

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Read the form."""
        try:
            form = {name: values[-1] for name, values in parse_qs(request.body.decode("ascii")).items()}
            return TicketMetadata(
                ticket_id=form["sheet"], kind=EVENTS.get(form["event"], "other"), delivery_id=form.get("serial")
            )
        except (UnicodeDecodeError, ValueError, KeyError) as error:
            raise PayloadInvalid(f"This is no form of a Paperdesk courier: {error}.") from None

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Read a sheet."""
        head, _, text = (await self._call("GET", _sheet(ticket_id))).content.decode().partition("\n\n")
        lines = dict(line.split(": ", 1) for line in head.splitlines())
        return Ticket(
            id=ticket_id,
            title=lines["Subject"],
            description=text,
            state="resolved" if lines["Tray"] == "archive" else "open",
            created_at=datetime.fromisoformat(lines["Filed"]),
        )

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Pin a slip that only the staff sees, with the marker as its stamp."""
        headers = {"Paper-Stamp": _stamp(marker), "Paper-Eyes": "staff", "Content-Type": "text/plain; charset=utf-8"}
        content = plain_text(enhancement).encode()
        answer = await self._call("POST", f"{_sheet(ticket_id)}/slips", headers=headers, content=content)
        return RemoteRef(id=answer.content.decode().strip())

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        """Find slips by their stamp."""
        slips = (await self._call("GET", f"{_sheet(ticket_id)}/slips")).content.decode().splitlines()
        return [RemoteRef(id=number) for number, stamp in (s.split(" ", 1) for s in slips) if stamp == _stamp(marker)]

    async def check_health(self) -> Health:
        """Ask for the door sign."""
        try:
            await self._call("GET", "/door")
        except (AuthenticationFailed, TicketingUnavailable, TicketNotFound, TicketingRefused) as error:
            return Health(status="failed", detail=str(error))
        return Health(status="ok", detail="The office is open.")

    async def _call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> HttpResponse:
        writes = method == "POST"
        with self._config.key.open() as key:
            given = {**(headers or {}), "Paper-Key": key}
            try:
                answer = await self._services.http.request(
                    method, self._config.address + path, headers=given, content=content
                )
            except HttpFailed as error:
                kind = EffectUnknown if writes and error.sent else TicketingUnavailable
                raise kind(f"Paperdesk does not answer: {error}") from error
        match answer.status_code:
            case 401:
                raise AuthenticationFailed("Paperdesk refuses the key.")
            case 404:
                raise TicketNotFound("Paperdesk has no such sheet.")
            case status if status >= 500:
                raise (EffectUnknown if writes else TicketingUnavailable)(f"Paperdesk answered {status}.")
            case status if status >= 400:
                raise TicketingRefused(f"Paperdesk answered {status}.")
        return answer


def _sheet(ticket_id: str) -> str:
    return f"/sheet/{quote(ticket_id, safe='')}"


def _stamp(marker: EffectMarker) -> str:
    return f"{marker.installation}/{marker.reference}"
