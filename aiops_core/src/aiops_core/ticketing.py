"""The contract of a ticketing tool: one adapter for one vendor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from aiops_core.errors import EffectUnverifiable, TicketingRefused
from aiops_core.tickets import Enhancement, Ticket, TicketMetadata, TicketQuery


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookRequest:
    """A webhook as received: lower-case header names, the raw bytes, the receiver's timezone-aware clock."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    received_at: datetime
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookProof:
    """How a webhook proved its sender.

    ``secret_index`` counts the endpoint's live secrets from 0, newest first. ``sent_at`` is the signed time,
    ``None`` where the product signs none.
    """

    scheme: str
    secret_index: int
    sent_at: datetime | None = None


class EffectMarker(msgspec.Struct, frozen=True, kw_only=True):
    """What proves on a ticket that one intended write happened.

    ``reference`` is 18 base32 characters, unique to the effect and safe to show. ``installation`` tells two
    installations on one ticketing tool apart. ``since`` bounds the search: no write was started before it.
    """

    reference: str
    installation: str
    since: datetime | None = None


class RemoteRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A note as the ticketing tool names it."""

    id: str
    url: str | None = None
    created_at: datetime | None = None


HealthStatus = Literal["ok", "degraded", "failed"]


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of a health check in plain language.

    ``account_id`` is the connection's own account, as webhooks name their actor; the host drops what it did.
    ``reached`` is False when nothing answered, so that credentials were neither taken nor refused.
    """

    status: HealthStatus
    detail: str
    account_id: str | None = None
    reached: bool = True


class TicketingToolPlugin(ABC):
    """One connection to one vendor's ticketing tool, made by its spec's factory for one tenant.

    The two synchronous methods run in the host process on every webhook and do no I/O; the others run in the
    worker. The object may be cached and used for several tickets at a time.
    """

    @abstractmethod
    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Verify the sender on the raw bytes and headers.

        Raises:
            WebhookRejected: The proof is missing, malformed, too old or made with none of the live secrets.
        """

    @abstractmethod
    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Read which ticket the webhook is about and what happened to it.

        Raises:
            PayloadInvalid: The body is not what this ticketing tool sends.
        """

    @abstractmethod
    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Fetch a ticket by the id of :class:`~aiops_core.tickets.TicketMetadata`.

        Raises:
            TicketNotFound: It does not exist or may not be seen.
            AuthenticationFailed: The credentials are refused.
            TicketingUnavailable: No usable answer; try again.
            TicketingRefused: Refused for good.
        """

    @abstractmethod
    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Post the enhancement as one internal note that carries the marker. One attempt, no retry inside.

        Raises:
            EffectUnknown: The note may or may not have been posted.
            TicketNotFound: The ticket is gone; nothing was posted.
            AuthenticationFailed: The credentials are refused; nothing was posted.
            TicketingUnavailable: Nothing was posted; try again.
            TicketingRefused: Refused for good; nothing was posted.
        """

    async def find_effects(self, ticket_id: str, marker: EffectMarker) -> Sequence[RemoteRef]:
        """Return our notes on the ticket that carry the marker, oldest first; empty only if surely none.

        Raises:
            EffectUnverifiable: This ticketing tool cannot tell. The default.
        """
        raise EffectUnverifiable(f"{type(self).__name__} cannot read back its notes.")

    async def delete_effect(self, ticket_id: str, ref: RemoteRef) -> None:
        """Delete one of our notes; a note that is already gone is fine.

        Raises:
            TicketingRefused: This ticketing tool or account may not delete notes. The default.
        """
        raise TicketingRefused(f"{type(self).__name__} cannot delete notes.")

    def search_tickets(self, query: TicketQuery) -> AsyncIterator[Ticket]:
        """Yield matching tickets, oldest update first, reading page after page.

        Raises:
            TicketingRefused: This ticketing tool has no search. The default.
        """
        raise TicketingRefused(f"{type(self).__name__} cannot search tickets.")

    async def check_health(self) -> Health:
        """Make one small authenticated read and say in a sentence what it showed. Never raises for a vendor's answer."""
        return Health(status="degraded", detail="This ticketing tool has no health check.")

    async def aclose(self) -> None:  # noqa: B027 - optional: most hold nothing
        """Release what the object holds. The handed-in HTTP client is not its own to close."""
