"""ServiceDesk Plus against the standard tests of ticketing tools, in every edition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from tests.support.egress import LOOPBACK

from aiops_core.config import Secret, load_config
from aiops_core.testing.fakes import FakeServices
from aiops_core.testing.ticketing import Fault, PostedNote, TicketingFaultsContract, TicketingToolContract
from aiops_core.ticketing import TicketingToolPlugin, WebhookRequest
from aiops_demo.simulators.base import Behaviour, Proof
from aiops_demo.simulators.servicedesk import ServiceDeskSimulator
from aiops_demo.simulators.serving import running
from aiops_host.trust.egress import GuardedHttp
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.ticketing import ServiceDeskTool

TOKEN = "contract-technician-key-77"
FAULTS: dict[Fault, Behaviour] = {
    "drop_after_apply": Behaviour(apply_then="drop"),
    "error_after_apply": Behaviour(apply_then=500),
    "throttle": Behaviour(fail_with=429, retry_after=7),
    "unauthorised": Behaviour(fail_with=401),
}


def seed_ticket(number: int, *, resolved: bool = False) -> dict[str, object]:
    """Return a neutral seed ticket."""
    return {
        "ticket_id": str(number),
        "title": f"VPN drops every {number} minutes",
        "description": "It says\nconnection lost <0x80072746> & waits.",
        "resolution": f"Replaced adapter {number}." if resolved else None,
        "category": "Network",
        "priority": "High",
        "requester": {"name": "Laura Pike", "email": "laura.pike@harbor.example"},
        "technician": "Tom Ashdown",
        "created_at": f"2026-02-{number % 27 + 1:02}T08:00:00Z",
        "resolved_at": f"2026-03-{number % 27 + 1:02}T08:00:00Z" if resolved else None,
    }


def seeded(edition: str) -> ServiceDeskSimulator:
    """Return a simulator with nine tickets, two thirds of them solved."""
    simulator = ServiceDeskSimulator(token=TOKEN, edition=edition)
    for number in range(1, 10):
        simulator.add_ticket(simulator.to_vendor(seed_ticket(number, resolved=number % 3 > 0)))
    return simulator


def connection(simulator: ServiceDeskSimulator, **more: object) -> ServiceDeskConfig:
    """Return the configuration of a connection to a simulator that is being served."""
    credentials = {"technician_key": TOKEN}
    if simulator.edition == "cloud":
        credentials = {"client_id": simulator.account, "client_secret": TOKEN, "refresh_token": TOKEN}
        more = {"portal": "itdesk", "accounts_url": simulator.url, **more}
    values = {"base_url": simulator.url, "edition": simulator.edition, "calls_per_minute": 60_000}
    return load_config(ServiceDeskConfig, {**values, **credentials, **more})


@asynccontextmanager
async def opened(
    simulator: ServiceDeskSimulator, secrets: Sequence[str] = (), **more: object
) -> AsyncIterator[ServiceDeskTool]:
    """Serve a simulator and give a tool connected to it through the guarded client."""
    async with running(simulator):
        http = GuardedHttp.open(LOOPBACK)
        services = FakeServices(http=http, webhook_secrets=[Secret.of(secret) for secret in secrets])
        tool = ServiceDeskTool(connection(simulator, **more), services)
        try:
            yield tool
        finally:
            await tool.aclose()
            await http.aclose()


class ServiceDeskSubject:
    """What the editions have in common."""

    edition: ClassVar[str] = "on-prem"
    more: ClassVar[dict[str, object]] = {}
    webhook_secrets: ClassVar[tuple[str, ...]] = ("contract-newest-secret-1f0c", "contract-older-secret-9b7e")
    proof_headers: ClassVar[tuple[str, ...]] = ("x-aiops-webhook-secret",)
    proof_covers_body: ClassVar[bool] = False

    @pytest.fixture
    def simulator(self) -> ServiceDeskSimulator:
        """Return the other side."""
        return seeded(self.edition)

    @pytest.fixture
    async def tool(self, simulator: ServiceDeskSimulator) -> AsyncIterator[TicketingToolPlugin]:
        """Open a connection to it through the guarded client."""
        self.subject = simulator
        async with opened(simulator, self.webhook_secrets, **self.more) as tool:
            yield tool

    @pytest.fixture
    def ticket_id(self, tool: TicketingToolPlugin) -> str:
        """Return a solved ticket."""
        return "5"

    def good_webhook(self, ticket_id: str, secret: str) -> WebhookRequest:
        """Return the simulator's webhook."""
        simulator = seeded(self.edition)
        proof = Proof(secret=secret) if self.proof_covers_body else Proof(headers={"X-AIOps-Webhook-Secret": secret})
        headers, body = simulator.webhook(simulator.ticket(ticket_id), "opened", proof=proof)
        lowered = {name.lower(): value for name, value in headers.items()}
        return WebhookRequest(headers=lowered, body=body, received_at=datetime.now(UTC))

    async def posted(self, ticket_id: str) -> Sequence[PostedNote]:
        """Return what the simulator holds."""
        notes = [note for note in self.subject.posted if note.ticket == ticket_id]
        return [PostedNote(text=note.text, internal=note.internal) for note in notes]

    async def misbehave(self, fault: Fault | None) -> None:
        """Tell the simulator to misbehave."""
        self.subject.behave(FAULTS[fault] if fault else Behaviour())


class TestOnPremises(ServiceDeskSubject, TicketingToolContract):
    """On-premises keeps the contract."""


class TestOnPremisesFaults(ServiceDeskSubject, TicketingFaultsContract):
    """On-premises keeps the contract when it misbehaves."""


class TestMsp(ServiceDeskSubject, TicketingToolContract):
    """The MSP edition keeps the contract, behind a portal's address."""

    edition = "msp"
    more: ClassVar[dict[str, object]] = {"portal": "msp"}


class TestCloud(ServiceDeskSubject, TicketingToolContract):
    """The cloud keeps the contract."""

    edition = "cloud"


class TestCloudFaults(ServiceDeskSubject, TicketingFaultsContract):
    """The cloud keeps the contract when it misbehaves."""

    edition = "cloud"


class TestSignedCloud(ServiceDeskSubject, TicketingToolContract):
    """The cloud keeps the contract where a custom function signs its webhooks."""

    edition = "cloud"
    more: ClassVar[dict[str, object]] = {"proof": "signed"}
    proof_headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    proof_covers_body = True
