"""What one tenant enters to connect a Jira."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from aiops_core.config import PluginConfig, Secret
from aiops_core.tickets import TicketKind

Path = Annotated[str, Meta(max_length=200, pattern=r"^[^.]+(\.[^.]+)*$")]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
FieldId = Annotated[str, Meta(max_length=100, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
ProjectKey = Annotated[str, Meta(max_length=80, pattern=r"^[A-Z][A-Z0-9_]*$")]


class AutomationMapping(PluginConfig, frozen=True, kw_only=True):
    """Where an Automation rule's own body keeps what is needed, as dotted paths. The defaults fit the template."""

    ticket: Annotated[Path, Meta(title="Path of the ticket's key")] = "key"
    event: Annotated[Path, Meta(title="Path of the event's word")] = "event"
    revision: Annotated[Path, Meta(title="Path of what changes with the ticket")] = "updated"
    actor: Annotated[Path, Meta(title="Path of the account that caused the event")] = "actor"
    default_event: Annotated[TicketKind, Meta(title="Event", description="Taken when the body has no word for it.")] = (
        "opened"
    )


class JiraConfig(PluginConfig, frozen=True, kw_only=True):
    """Address, credentials and choices for one Jira site."""

    base_url: Annotated[
        Url,
        Meta(
            title="Address",
            description="The site as you open it in a browser, for instance https://example.atlassian.net.",
        ),
    ]
    edition: Annotated[Literal["cloud", "datacenter"], Meta(title="Edition")] = "cloud"
    email: Annotated[
        str | None,
        Meta(title="Email", description="Of the account the API token belongs to; on Data Center, its user name."),
    ] = None
    api_token: Annotated[
        Secret | None, Meta(title="API token", description="Sent with the email; on Data Center, the password.")
    ] = None
    personal_access_token: Annotated[
        Secret | None, Meta(title="Personal access token", description="Data Center 8.14 or later only.")
    ] = None
    webhook_proof: Annotated[
        Literal["signature", "header"],
        Meta(
            title="Webhook proof",
            description="signature: an administrator's webhook with a secret. header: an Automation rule, "
            "which can send a fixed header only.",
        ),
    ] = "signature"
    webhook_header: Annotated[
        str,
        Meta(
            title="Webhook header",
            description="The header that carries the secret when the proof is a header; Authorization is allowed.",
            pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$",
        ),
    ] = "X-AIOps-Secret"
    automation: Annotated[AutomationMapping, Meta(title="Fields of an Automation rule's body")] = AutomationMapping()
    projects: Annotated[
        tuple[ProjectKey, ...],
        Meta(title="Projects", description="Keys of the projects whose history is read; empty reads all."),
    ] = ()
    category_field: Annotated[
        FieldId | None,
        Meta(
            title="Category field", description="A field's id; without one, the first component, else the issue type."
        ),
    ] = None
    resolution_fields: Annotated[
        tuple[FieldId, ...],
        Meta(
            title="Resolution fields",
            description="Ids of fields that tell how a ticket was resolved; the last public comment stands in.",
        ),
    ] = ()
    organization_field: Annotated[
        FieldId | None, Meta(title="Organization field", description="The id of the field with the requester's site.")
    ] = None
    browse_url: Annotated[
        Url | None,
        Meta(title="Address of links", description="Where people open tickets, when it is not the address above."),
    ] = None

    def __post_init__(self) -> None:
        """Refuse credentials that the edition would refuse."""
        basic = self.email is not None and self.api_token is not None
        if self.edition == "cloud" and self.personal_access_token is not None:
            raise ValueError("Jira Cloud takes email and api_token; personal_access_token is for Data Center")
        if self.edition == "cloud" and not basic:
            raise ValueError("Jira Cloud needs email and api_token")
        if self.personal_access_token is None and not basic:
            raise ValueError(
                "Jira Data Center needs personal_access_token, or email (user name) and api_token (password)"
            )
