"""A small ticketing tool for tests of the host: signed or plain webhooks in JSON, no vendor behind it."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any, NoReturn

from aiops_core import (
    AgentSpec,
    Enhancement,
    PayloadInvalid,
    PluginConfig,
    PluginManager,
    RemoteRef,
    Secret,
    Ticket,
    TicketingServices,
    TicketingToolPlugin,
    TicketingToolSpec,
    TicketMetadata,
    TicketNotFound,
    WebhookProof,
    WebhookRequest,
    hookimpl,
)
from aiops_core.signatures import verify_hex_hmac
from aiops_core.ticketing import EffectMarker

SIGNATURE = "x-postbox-signature"


class PostboxConfig(PluginConfig, frozen=True, kw_only=True):
    """Where the tickets would be."""

    base_url: str = "https://postbox.example"
    api_token: Secret | None = None
    needs_token: bool = False

    def __post_init__(self) -> None:
        """Refuse a missing token where one is needed."""
        if self.needs_token and self.api_token is None:
            raise ValueError("api_token is missing")


class Postbox(TicketingToolPlugin):
    """Judges a signature and reads a JSON body; a body that says ``break`` makes it fail as a bug would."""

    def __init__(self, config: PostboxConfig, services: TicketingServices) -> None:
        self.config = config
        self.services = services

    def validate_webhook(self, request: WebhookRequest) -> WebhookProof:
        """Verify the signature; the header ``x-postbox-break`` makes it fail as a bug would."""
        if "x-postbox-break" in request.headers:
            raise RuntimeError("the judge broke")
        header = request.headers.get(SIGNATURE)
        index = verify_hex_hmac(request.body, header, self.services.webhook_secrets, name=SIGNATURE, prefix="sha256=")
        return WebhookProof(scheme="postbox", secret_index=index)

    def extract_metadata(self, request: WebhookRequest) -> TicketMetadata:
        """Read the body."""
        try:
            body: dict[str, Any] = json.loads(request.body)
        except ValueError:
            raise PayloadInvalid("The body is not JSON.") from None
        if not isinstance(body, dict):
            raise PayloadInvalid("The body is not an object.")
        if body.get("break"):
            raise RuntimeError("the reader broke")
        return TicketMetadata(
            ticket_id=body.get("ticket", ""),
            kind=body.get("kind", "opened"),
            delivery_id=request.headers.get("x-postbox-id"),
            actor_id=body.get("actor"),
            revision=body.get("revision"),
            effect_reference=body.get("reference"),
        )

    async def get_ticket(self, ticket_id: str) -> Ticket:
        """Find nothing."""
        raise TicketNotFound

    async def update_ticket(self, ticket_id: str, enhancement: Enhancement, marker: EffectMarker) -> RemoteRef:
        """Find nothing."""
        raise TicketNotFound


class PostboxPlugin:
    """The plugin as it is registered."""

    @hookimpl
    def aiops_register_ticketing_tools(self) -> Iterable[TicketingToolSpec]:
        """Contribute the postbox, and a second name for it."""
        return [
            TicketingToolSpec(
                name=name,
                title=name.title(),
                factory=Postbox,
                config=PostboxConfig,
                sender_headers=lambda _config: {"X-Postbox-Key": "key {secret}"},
                setup_help="Put the address into the postbox.",
            )
            for name in ("postbox", "pigeonhole")
        ]

    @hookimpl
    def aiops_register_agents(self) -> Iterable[AgentSpec]:
        """Contribute the agent that connections have by default, which no test of the postbox runs."""
        return [AgentSpec(name="enhance", title="Enhance", version="1", factory=_never_run)]


def _never_run(_config: object, _services: object) -> NoReturn:
    raise AssertionError("the postbox has no agent that runs")


def postbox_plugins() -> PluginManager:
    """Return a plugin manager with the postbox only."""
    manager = PluginManager()
    manager.load("postbox", PostboxPlugin, distribution="tests", version="1")
    return manager


def sign(secret: str, body: bytes) -> dict[str, str]:
    """Return the header that proves the body."""
    return {SIGNATURE: "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def webhook_body(ticket: str = "T-1", kind: str = "opened", **more: Any) -> bytes:
    """Return a body as the postbox sends it."""
    return json.dumps({"ticket": ticket, "kind": kind, **more}).encode()
