"""The settings of one ServiceDesk Plus connection."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aiops_core.config import PluginConfig, Secret
from aiops_core.tickets import TicketKind

Edition = Literal["on-prem", "msp", "cloud"]
DataCentre = Literal["com", "eu", "in", "cn", "au", "jp", "ca", "uk", "sa"]

WEBHOOK_HEADER = "X-AIOps-Webhook-Secret"

BaseUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(?:/[^\s?#]*)?$")]
DottedPath = Annotated[str, Meta(pattern=r"^[^\s.]+(?:\.[^\s.]+)*$")]


class ServiceDeskConfig(PluginConfig, frozen=True, kw_only=True):
    """How to reach one ServiceDesk Plus and how to read its webhooks."""

    base_url: Annotated[
        BaseUrl,
        Meta(
            title="Address",
            description="The server's address, such as https://helpdesk.example.com, without /app or /api.",
        ),
    ]
    edition: Annotated[Edition, Meta(title="Edition", description="Which ServiceDesk Plus this is.")] = "on-prem"
    portal: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+$")] | None,
        Meta(title="Portal", description="The name after /app/ in the address, if there is one; such as itdesk."),
    ] = None
    portal_id: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]+$")] | None,
        Meta(title="Portal id", description="Sent as PORTALID where one account sees several portals."),
    ] = None
    technician_key: Annotated[
        Secret | None,
        Meta(
            title="Technician key",
            description="On-premises and MSP: the API key of the technician who posts the notes.",
        ),
    ] = None
    client_id: Annotated[
        str | None, Meta(title="OAuth client id", description="Cloud: from the Zoho API console, a self client.")
    ] = None
    client_secret: Annotated[Secret | None, Meta(title="OAuth client secret", description="Cloud.")] = None
    refresh_token: Annotated[
        Secret | None,
        Meta(title="OAuth refresh token", description="Cloud: with the scope SDPOnDemand.requests.ALL."),
    ] = None
    data_centre: Annotated[
        DataCentre, Meta(title="Data centre", description="Cloud: which Zoho accounts server issues the tokens.")
    ] = "com"
    accounts_url: Annotated[
        BaseUrl | None,
        Meta(title="Accounts server", description="Cloud: an address in place of the data centre's own."),
    ] = None
    technician_id: Annotated[
        str | None,
        Meta(
            title="Our technician",
            description="The id of the technician who posts the notes, as webhooks name their actor. Without it the id is learned from the first note.",
        ),
    ] = None
    proof: Annotated[
        Literal["header", "signed"],
        Meta(
            title="Proof of the sender",
            description="header: a custom header carries the secret. signed: a custom function signs each webhook (Standard Webhooks).",
        ),
    ] = "header"
    proof_header: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")],
        Meta(title="Secret's header", description="The custom header that carries the secret."),
    ] = WEBHOOK_HEADER
    ticket_id_field: Annotated[
        DottedPath,
        Meta(title="Field: ticket", description="Where the webhook's body has the ticket's id; dots lead inwards."),
    ] = "ticket_id"
    event_field: Annotated[
        DottedPath, Meta(title="Field: event", description="Where the webhook's body says what happened.")
    ] = "event"
    revision_field: Annotated[
        DottedPath,
        Meta(title="Field: last update", description="Where the webhook's body has the time of the last update."),
    ] = "last_updated"
    actor_field: Annotated[
        DottedPath, Meta(title="Field: actor", description="Where the webhook's body has the id of who did it.")
    ] = "actor_id"
    event_words: Annotated[
        dict[str, TicketKind],
        Meta(
            title="Event words",
            description="Your own words for events, beside created, updated, resolved, closed and noted.",
        ),
    ] = msgspec.field(default_factory=dict)
    resolved_statuses: Annotated[
        tuple[str, ...],
        Meta(
            title="Resolved statuses",
            description="The statuses that mean a ticket is solved, as your portal spells them.",
        ),
    ] = ("Resolved", "Closed")
    calls_per_minute: Annotated[
        Annotated[int, Meta(ge=1, le=60_000)],
        Meta(
            title="Calls per minute",
            description="ServiceDesk Plus throttles without publishing its limits; 30 is known to be safe.",
        ),
    ] = 30

    def __post_init__(self) -> None:
        """Refuse a configuration without the credentials of its edition.

        Raises:
            ValueError: The message names the missing fields.
        """
        names = ("client_id", "client_secret", "refresh_token") if self.edition == "cloud" else ("technician_key",)
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise ValueError(f"edition {self.edition} needs {' and '.join(missing)}")
