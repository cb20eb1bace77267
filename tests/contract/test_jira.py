"""The Jira ticketing tool against its simulator, Cloud and Data Center."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from tests.support.egress import LOOPBACK

from aiops_core.config import load_config
from aiops_core.testing.fakes import FakeServices
from aiops_core.testing.subject import Fault, PostedNote
from aiops_core.testing.ticketing import TicketingFaultsContract, TicketingToolContract
from aiops_core.ticketing import TicketingToolPlugin, WebhookRequest
from aiops_demo.simulators.base import Behaviour, Json, Proof
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running
from aiops_host.trust.egress import GuardedHttp
from aiops_jira.config import JiraConfig
from aiops_jira.ticketing import JiraTicketingTool

TOKEN = "api-token-3f1c"
ACCOUNT = "aiops@example.com"
FAULTS: dict[Fault | None, Behaviour] = {
    None: Behaviour(),
    "drop_after_apply": Behaviour(apply_then="drop"),
    "error_after_apply": Behaviour(apply_then=500),
    "throttle": Behaviour(fail_with=429, retry_after=7),
    "unauthorised": Behaviour(fail_with=401),
}


def seed(number: int) -> Json:
    """Return a neutral seed ticket; every second one is resolved."""
    done = number % 2 == 0
    return {
        "ticket_id": f"OPS-{number}",
        "title": f"Printer {number} prints blank pages",
        "description": f"The printer on floor {number} prints blank pages since Monday.",
        "resolution": "Replaced the toner." if done else None,
        "category": "Printing",
        "priority": "High",
        "requester": "Dana Kim",
        "technician": "Tom Ashdown",
        "created_at": f"2026-02-{number:02d}T08:00:00Z",
        "resolved_at": f"2026-02-{number:02d}T09:30:00Z" if done else None,
    }


class JiraSubject:
    """A Jira simulator with seven tickets and the tool connected to it."""

    edition: ClassVar[str] = "cloud"
    expands: ClassVar[bool] = False
    credentials: ClassVar[dict[str, str]] = {"email": ACCOUNT, "api_token": TOKEN}
    proof_headers = ("x-hub-signature",)
    proof_covers_body = True
    webhook_secrets: ClassVar[tuple[str, ...]] = ("contract-newest-secret-1f0c", "contract-older-secret-9b7e")

    @pytest.fixture
    async def tool(self) -> AsyncIterator[TicketingToolPlugin]:
        """Return the tool, connected to a fresh simulator."""
        self.simulator = JiraSimulator(token=TOKEN, account=ACCOUNT, edition=self.edition)
        self.simulator.expands_properties = self.expands
        for number in range(1, 8):
            self.simulator.add_ticket(self.simulator.to_vendor(seed(number)))
        async with running(self.simulator) as url:
            http = GuardedHttp.open(LOOPBACK)
            config = load_config(JiraConfig, {"base_url": url, "edition": self.edition, **self.credentials})
            services = FakeServices(http=http, webhook_secrets=self.secrets)  # type: ignore[attr-defined]
            yield JiraTicketingTool(config, services)
            await http.aclose()

    @pytest.fixture
    def ticket_id(self, tool: TicketingToolPlugin) -> str:
        """Return an open ticket."""
        return "OPS-3"

    def good_webhook(self, ticket_id: str, secret: str) -> WebhookRequest:
        """Return an administrator's webhook, signed."""
        headers, body = self.simulator.webhook(self.simulator.ticket(ticket_id), "opened", proof=Proof(secret=secret))
        lower = {name.lower(): value for name, value in headers.items()}
        return WebhookRequest(headers=lower, body=body, received_at=datetime.now(UTC))

    def forged_webhooks(self, ticket_id: str) -> Iterable[WebhookRequest]:
        """Return signatures of other kinds and in other places."""
        good = self.good_webhook(ticket_id, self.webhook_secrets[0])
        signature = good.headers["x-hub-signature"]
        for forged in (
            {"x-hub-signature-256": signature},
            {"x-hub-signature": signature.replace("sha256=", "sha1=")},
            {"x-hub-signature": signature.replace("sha256=", "")},
            {"x-hub-signature": f"sha256={'0' * 64}"},
            {"x-hub-signature": f"sha256={'z' * 64}"},
            {"authorization": f"Bearer {self.webhook_secrets[0]}"},
        ):
            yield replace(good, headers=forged)

    async def posted(self, ticket_id: str) -> Sequence[PostedNote]:
        """Return what the simulator keeps."""
        notes = [note for note in self.simulator.posted if note.ticket == ticket_id]
        return [PostedNote(text=note.text, internal=note.internal) for note in notes]

    async def misbehave(self, fault: Fault | None) -> None:
        """Tell the simulator."""
        self.simulator.behave(FAULTS[fault])


class TestJiraCloud(JiraSubject, TicketingToolContract):
    """Cloud."""


class TestJiraCloudFaults(JiraSubject, TicketingFaultsContract):
    """Cloud, misbehaving."""


class TestJiraCloudExpanding(JiraSubject, TicketingFaultsContract):
    """A Cloud that lists the properties of comments when asked, misbehaving."""

    expands = True


class TestJiraDataCenter(JiraSubject, TicketingToolContract):
    """Data Center with a personal access token."""

    edition = "datacenter"
    credentials: ClassVar[dict[str, str]] = {"personal_access_token": TOKEN}


class TestJiraDataCenterFaults(JiraSubject, TicketingFaultsContract):
    """Data Center with user name and password, misbehaving."""

    edition = "datacenter"


class TestJiraAutomation(JiraSubject, TicketingToolContract):
    """Cloud whose webhooks come from an Automation rule with a fixed header."""

    proof_headers = ("x-aiops-secret",)
    proof_covers_body = False
    credentials: ClassVar[dict[str, str]] = {**JiraSubject.credentials, "webhook_proof": "header"}

    def good_webhook(self, ticket_id: str, secret: str) -> WebhookRequest:
        """Return what the recommended Automation rule sends."""
        body = f'{{"key":"{ticket_id}","event":"created","updated":"2026-03-02T09:00:00.000+0000","actor":"5b10"}}'
        return WebhookRequest(headers={"x-aiops-secret": secret}, body=body.encode(), received_at=datetime.now(UTC))

    def forged_webhooks(self, ticket_id: str) -> Iterable[WebhookRequest]:
        """Return the secret in a header it does not belong in."""
        good = self.good_webhook(ticket_id, self.webhook_secrets[0])
        yield replace(good, headers={"authorization": self.webhook_secrets[0]})
