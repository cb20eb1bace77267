"""ServiceDesk Plus as a ticketing tool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    EffectUnverifiable,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.services import TicketingServices
from aiops_core.signatures import verify_standard_webhook, verify_static
from aiops_core.ticketing import EffectMarker, Health, RemoteRef, TicketingToolPlugin, WebhookProof, WebhookRequest
from aiops_core.tickets import Enhancement, Ticket, TicketMetadata, TicketQuery
from aiops_servicedesk.client import ServiceDeskClient
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.html_text import html_to_text
from aiops_servicedesk.render import Footer, footer_for, footer_of, render
from aiops_servicedesk.translate import (
    api_base,
    milliseconds_of,
    note_author,
    note_ref,
    note_time,
    resolution_of,
    ticket_id_of,
    ticket_of,
)
from aiops_servicedesk.webhook import read_webhook
from aiops_servicedesk.wire import (
    MAX_ROWS,
    NoteAnswer,
    NoteRecord,
    NotesAnswer,
    RequestAnswer,
    RequestsAnswer,
    ResolutionAnswer,
    Verdict,
    note_input,
    page_input,
    search_input,
)

CLOCK_SLACK: Final = timedelta(minutes=2)
MAX_CANDIDATES: Final = 20
MAX_NOTE_PAGES: Final = 10
MAX_REMEMBERED: Final = 1000
UNKNOWN_TECHNICIAN: Final = (
    "Set technician_id, so that webhooks about our own notes are recognised by their author too."
)


class ServiceDeskTool(TicketingToolPlugin):
    """One connection to ServiceDesk Plus on-premises, MSP or cloud."""

    def __init__(self, config: ServiceDeskConfig, services: TicketingServices) -> None:
        """Take the connection's configuration and what the host hands in."""
        self._config = config
        self._services = services
        self._client = ServiceDeskClient(config, services)
        self._author_id: str | None = None
        self._footers: dict[str, Footer | None] = {}

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Verify the secret's header, or the signature of a custom function."""
        secrets = self._services.webhook_secrets
        if self._config.proof == "signed":
            index, sent_at = verify_standard_webhook(
                request.body, dict(request.headers), secrets, now=request.received_at
            )
            return WebhookProof(scheme="standard-webhooks", secret_index=index, sent_at=sent_at)
        name = self._config.proof_header
        index = verify_static(request.headers.get(name.lower()), secrets, name=name)
        return WebhookProof(scheme="static-header", secret_index=index)

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Read the fields the administrator's template sends."""
        return read_webhook(request, self._config)

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Fetch the ticket, and its resolution where it is solved and the answer left it out."""
        return await self._ticket(_checked(ticket_id))

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Post one note that only technicians see."""
        description = render(enhancement, marker)
        answer = await self._client.post(
            f"/requests/{_checked(ticket_id)}/notes", NoteAnswer, note_input(self._config.edition, description)
        )
        note = answer.record
        if note is None:
            raise EffectUnknown("ServiceDesk Plus took the note but did not name it.")
        self._author_id = note_author(note) or self._author_id
        return note_ref(note, ticket_id, self._config)

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        """Read our notes since the first attempt and look for the reference; lists show no text, so each is fetched.

        At most 20 are read, those of the configured technician first, the newest first. A note whose reference a
        person has edited away is not found: its author, time and text then tell it to a person.
        """
        notes = sorted(
            (n for n in await self._notes(_checked(ticket_id)) if self._may_carry(n, marker)), key=self._rank
        )
        found = [n for n in notes[-MAX_CANDIDATES:] if await self._carries(ticket_id, n, marker)]
        if not found and len(notes) > MAX_CANDIDATES:
            raise EffectUnverifiable(
                f"Ticket {ticket_id} has {len(notes)} notes that could be ours, more than the {MAX_CANDIDATES} that are"
                " read. Look for the reference in its notes."
            )
        return [note_ref(n, ticket_id, self._config) for n in sorted(found, key=_age)]

    async def delete_effect(self, ticket_id: str, ref: RemoteRef) -> None:
        """Delete a note; one that is gone is fine."""
        if ticket_id_of(ref.id) is None:
            raise TicketingRefused(f"{ref.id!r} is not the id of a ServiceDesk Plus note.")
        try:
            await self._client.delete(f"/requests/{_checked(ticket_id)}/notes/{ref.id}")
        except TicketNotFound:
            return

    async def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        """Yield tickets by time of their last update, each fetched in full.

        Pages start anew at the last time seen: a ticket updated meanwhile moves to the end, and counting rows
        would then skip another.
        """
        after = None if query.updated_since is None else int(query.updated_since.timestamp() * 1000) - 1
        start, seen = 1, set[tuple[str, int | None]]()
        while True:
            page = await self._page(query, after, start)
            for row in page.requests:
                key = (str(row.id), milliseconds_of(row.last_updated_time))
                if key not in seen:
                    seen.add(key)
                    if (ticket := await self._background_ticket(key[0])) is not None:
                        yield ticket
            if not page.list_info.has_more_rows or not page.requests:
                return
            last = milliseconds_of(page.requests[-1].last_updated_time)
            if last is not None and last - 1 > (after or 0):
                after, start = last - 1, 1
            else:
                start += len(page.requests)

    async def check_health(self) -> Health:
        """List one ticket. The API does not tell whose credentials it met; a note that was posted does."""
        account_id = self._config.technician_id or self._author_id
        try:
            await self._client.get("/requests", Verdict, input_data=page_input(1, 1))
        except AuthenticationFailed as error:
            return Health(status="failed", detail=f"{error} {self._credentials_help()}", account_id=account_id)
        except TicketingError as error:
            return Health(status="failed", detail=str(error), account_id=account_id)
        known = f"Notes are posted by technician {account_id}." if account_id else UNKNOWN_TECHNICIAN
        detail = f"ServiceDesk Plus answers at {api_base(self._config)}. {known}"
        return Health(status="ok", detail=detail, account_id=account_id)

    def _credentials_help(self) -> str:
        if self._config.edition == "cloud":
            return "Make a new refresh token with the scope SDPOnDemand.requests.ALL and enter it in the connection."
        return "Generate the technician's API key again and enter it in the connection."

    async def _ticket(self, ticket_id: str, *, background: bool = False) -> Ticket:
        answer = await self._client.get(f"/requests/{ticket_id}", RequestAnswer, background=background)
        ticket = ticket_of(answer.request, self._config)
        if ticket.state != "resolved" or resolution_of(answer.request):
            return ticket
        resolution = await self._resolution(ticket_id, background=background)
        return ticket_of(answer.request, self._config, resolution) if resolution else ticket

    async def _resolution(self, ticket_id: str, *, background: bool) -> str | None:
        try:
            answer = await self._client.get(
                f"/requests/{ticket_id}/resolutions", ResolutionAnswer, background=background
            )
        except (TicketNotFound, TicketingRefused):
            return None
        return answer.resolution.content if answer.resolution else None

    async def _background_ticket(self, ticket_id: str) -> Ticket | None:
        """Return the ticket, ``None`` when it was deleted since it was listed."""
        try:
            return await self._ticket(ticket_id, background=True)
        except TicketNotFound:
            return None

    async def _page(self, query: TicketQuery, after: int | None, start: int) -> RequestsAnswer:
        statuses = self._config.resolved_statuses if query.resolved_only else None
        asked = search_input(start, query.page_size, after_ms=after, statuses=statuses)
        return await self._client.get("/requests", RequestsAnswer, input_data=asked, background=True)

    async def _notes(self, ticket_id: str) -> list[NoteRecord]:
        notes: list[NoteRecord] = []
        for _ in range(MAX_NOTE_PAGES):
            answer = await self._client.get(
                f"/requests/{ticket_id}/notes", NotesAnswer, input_data=page_input(len(notes) + 1, MAX_ROWS)
            )
            if answer.records is None:
                raise EffectUnverifiable(f"ServiceDesk Plus does not show the notes of ticket {ticket_id}.")
            notes += answer.records
            if not answer.list_info.has_more_rows or not answer.records:
                return notes
        raise EffectUnverifiable(f"Ticket {ticket_id} has more than {len(notes)} notes; ours cannot be told apart.")

    def _may_carry(self, note: NoteRecord, marker: EffectMarker) -> bool:
        """Return whether the note may be ours; a configured id may be mistaken and excludes none."""
        author, written = note_author(note), note_time(note)
        if self._author_id and author and author != self._author_id:
            return False
        return marker.since is None or written is None or written >= marker.since - CLOCK_SLACK

    def _rank(self, note: NoteRecord) -> tuple[bool, float, int]:
        return (note_author(note) == self._config.technician_id, *_age(note))

    async def _carries(self, ticket_id: str, note: NoteRecord, marker: EffectMarker) -> bool:
        """Return whether the note is the marker's; a note read before is not read again.

        A note gets its footer when it is posted, so a search that the cap on calls broke off goes on where it was.
        """
        key = str(note.id)
        if key not in self._footers:
            if len(self._footers) >= MAX_REMEMBERED:
                self._footers.clear()
            self._footers[key] = footer_of(await self._note_text(ticket_id, key))
        return self._footers[key] == footer_for(marker)

    async def _note_text(self, ticket_id: str, note_id: str) -> str:
        try:
            answer = await self._client.get(f"/requests/{ticket_id}/notes/{note_id}", NoteAnswer)
        except TicketNotFound:
            raise TicketingUnavailable(
                f"Note {note_id} of ticket {ticket_id} was just listed and is not shown."
            ) from None
        if answer.record is None or answer.record.description is None:
            raise EffectUnverifiable(f"ServiceDesk Plus does not show note {note_id} of ticket {ticket_id}.")
        return html_to_text(answer.record.description)


def _checked(ticket_id: str) -> str:
    if ticket_id_of(ticket_id) is None:
        raise TicketNotFound(f"{ticket_id[:60]!r} is not the id of a ServiceDesk Plus ticket.")
    return ticket_id


def _age(note: NoteRecord) -> tuple[float, int]:
    written = note_time(note)
    return (written.timestamp() if written else 0.0, int(note.id) if str(note.id).isdigit() else 0)
