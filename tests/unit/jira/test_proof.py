"""How a webhook proves that it comes from the tenant's Jira."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from aiops_core.config import Secret, load_config
from aiops_core.errors import WebhookRejected
from aiops_core.testing.fakes import FakeServices
from aiops_core.ticketing import WebhookRequest
from aiops_jira.config import JiraConfig
from aiops_jira.ticketing import JiraTicketingTool

# The example of Atlassian's page "Webhooks", section "Secure admin webhooks".
PUBLISHED_SECRET = "It's a Secret to Everybody"
PUBLISHED_BODY = b"Hello World!"
PUBLISHED_SIGNATURE = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"


def tool(*secrets: str, **choice: str) -> JiraTicketingTool:
    """Return a tool whose endpoint has these live secrets, newest first."""
    values = {"base_url": "https://example.atlassian.net", "email": "a@example.com", "api_token": "t", **choice}
    services = FakeServices(webhook_secrets=[Secret.of(secret) for secret in secrets])
    return JiraTicketingTool(load_config(JiraConfig, values), services)


def request(body: bytes = PUBLISHED_BODY, **headers: str) -> WebhookRequest:
    """Return a webhook; underscores in header names stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WebhookRequest(headers=named, body=body, received_at=datetime(2026, 3, 2, tzinfo=UTC))


def test_published_example_is_accepted() -> None:
    """Atlassian's own example of a signed body is accepted, also under the second live secret."""
    signed = request(x_hub_signature=PUBLISHED_SIGNATURE)
    assert tool(PUBLISHED_SECRET).validate_webhook(signed).secret_index == 0
    assert tool("newer", PUBLISHED_SECRET).validate_webhook(signed).secret_index == 1


def test_signature_is_over_the_raw_bytes() -> None:
    """A body that means the same JSON but has other bytes is refused."""
    with pytest.raises(WebhookRejected):
        tool(PUBLISHED_SECRET).validate_webhook(request(PUBLISHED_BODY + b"\n", x_hub_signature=PUBLISHED_SIGNATURE))


def test_signature_mode_takes_no_static_header() -> None:
    """Where Jira signs, knowing the header of the other mode helps nobody."""
    with pytest.raises(WebhookRejected):
        tool("s3cret").validate_webhook(request(x_aiops_secret="s3cret", authorization="Bearer s3cret"))


def test_header_mode_takes_no_signature() -> None:
    """Where the tenant chose a header, a signature alone is refused."""
    with pytest.raises(WebhookRejected):
        tool(PUBLISHED_SECRET, webhook_proof="header").validate_webhook(request(x_hub_signature=PUBLISHED_SIGNATURE))


def test_header_name_is_the_tenants_choice() -> None:
    """The secret is looked for in the configured header, whatever its case there, and in no other."""
    chosen = tool("s3cret", webhook_proof="header", webhook_header="X-Team-Key")
    assert chosen.validate_webhook(request(x_team_key="s3cret")).scheme == "static-header"
    with pytest.raises(WebhookRejected):
        chosen.validate_webhook(request(x_aiops_secret="s3cret"))


BASIC = base64.b64encode(b"jira:s3cret").decode()


@pytest.mark.parametrize("value", ["Bearer s3cret", "bearer s3cret", f"Basic {BASIC}", "s3cret"])
def test_authorization_carries_the_secret(value: str) -> None:
    """The Authorization header may carry the secret bare, as Bearer, or as the password of Basic."""
    chosen = tool("other", "s3cret", webhook_proof="header", webhook_header="Authorization")
    assert chosen.validate_webhook(request(authorization=value)).secret_index == 1


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer wrong", "Basic", "Basic !!!", "Basic czNjcmV0", "Basic /w==", "Digest s3cret", "s3cret x"],
)
def test_wrong_authorization_is_refused(value: str) -> None:
    """An Authorization header without the secret is refused, broken base64 and user-less Basic included."""
    chosen = tool("s3cret", webhook_proof="header", webhook_header="Authorization")
    with pytest.raises(WebhookRejected):
        chosen.validate_webhook(request(authorization=value))


def test_no_live_secret_accepts_nothing() -> None:
    """An endpoint without secrets refuses everything, the empty secret's signature too."""
    with pytest.raises(WebhookRejected):
        tool().validate_webhook(request(x_hub_signature=PUBLISHED_SIGNATURE))
