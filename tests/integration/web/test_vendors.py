"""The two vendors' own webhooks, as their products send them, through the intake."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.support.databases import TwoTenants

from aiops_core import PluginManager, load_plugins
from aiops_demo.simulators.base import Proof, VendorSimulator
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.servicedesk import ServiceDeskSimulator
from aiops_host.data import deliveries
from aiops_host.data.deliveries import DeliverySummary
from aiops_host.data.session import Database
from aiops_host.trust.connections import CreatedConnection, NewConnection, create_connection
from aiops_host.trust.vault import Vault

SEED = {"ticket_id": "7", "title": "Printer prints blank pages", "description": "Since this morning."}


def shown(simulator: VendorSimulator) -> Any:
    """Return a ticket in the vendor's own JSON, as its webhooks carry it."""
    added = simulator.add_ticket(simulator.to_vendor(SEED))
    return simulator.ticket(added.get("key", added["id"]))


@dataclass(frozen=True)
class Vendor:
    """A vendor: its ticketing tool, its configuration, how it proves a webhook, and its simulator."""

    tool: str
    config: dict[str, Any]
    proof: Callable[[CreatedConnection], Proof]
    simulator: Callable[[], VendorSimulator]


def signed(made: CreatedConnection) -> Proof:
    """Sign the body, and send the headers the connection asks for."""
    return Proof(secret=made.webhook_secret, headers=made.headers)


VENDORS = {
    "jira": Vendor(
        "jira",
        {"base_url": "https://desk.example.net", "email": "aiops@example.com", "api_token": "t"},
        signed,
        lambda: JiraSimulator(token="t", edition="cloud", account="aiops@example.com"),
    ),
    "servicedesk": Vendor(
        "servicedesk",
        {"base_url": "https://helpdesk.example.com", "technician_key": "t"},
        signed,
        lambda: ServiceDeskSimulator(token="t", edition="on-prem"),
    ),
    "servicedesk signed": Vendor(
        "servicedesk",
        {"base_url": "https://helpdesk.example.com", "technician_key": "t", "proof": "signed"},
        lambda made: Proof(secret=made.webhook_secret, headers={}),
        lambda: ServiceDeskSimulator(token="t", edition="on-prem"),
    ),
}


@pytest.fixture(scope="module")
def installed() -> PluginManager:
    """Every plugin that is installed."""
    return load_plugins()


@pytest.fixture
def plugins(installed: PluginManager) -> PluginManager:
    """What the application is made with."""
    return installed


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """One vendor."""
    return VENDORS[request.param]


@pytest.fixture
async def made(
    vendor: Vendor, opened: Database, vault: Vault, installed: PluginManager, two_tenants: TwoTenants
) -> CreatedConnection:
    """A connection of tenant a to the vendor."""
    new = NewConnection(name="vendor", ticketing_tool=vendor.tool, config=vendor.config)
    return await create_connection(opened, vault, installed.registry, two_tenants.a.tenant_id, new)


async def stored(opened: Database, two_tenants: TwoTenants) -> list[DeliverySummary]:
    """Return tenant a's deliveries, oldest first."""
    return (await deliveries.list_(opened, two_tenants.a.tenant_id)).items[::-1]


async def test_a_vendors_webhook_is_proven_and_read(
    vendor: Vendor,
    made: CreatedConnection,
    http: httpx.AsyncClient,
    opened: Database,
    two_tenants: TwoTenants,
) -> None:
    """Opened, updated and resolved tickets in the vendor's own bodies start a run, nothing, and learning."""
    simulator = vendor.simulator()
    ticket = shown(simulator)
    for kind in ("opened", "updated", "resolved"):
        headers, body = simulator.webhook(ticket, kind, proof=vendor.proof(made))
        answer = await http.post(made.webhook_url, content=body, headers=headers)
        assert answer.status_code == 202, answer.text
    found = await stored(opened, two_tenants)
    assert [(d.kind, d.state, d.action) for d in found] == [
        ("opened", "queued", "run"),
        ("updated", "ignored", "none"),
        ("resolved", "queued", "learn"),
    ]
    assert len({d.ticket_id for d in found}) == 1


async def test_a_vendors_webhook_with_anything_wrong_is_refused(
    vendor: Vendor, made: CreatedConnection, http: httpx.AsyncClient, opened: Database, two_tenants: TwoTenants
) -> None:
    """Without its proof, with another secret, or with another body where the body is signed, the answer is the 401."""
    simulator = vendor.simulator()
    ticket = shown(simulator)
    headers, body = simulator.webhook(ticket, "opened", proof=vendor.proof(made))
    bare = {"Content-Type": "application/json"}
    wrong = {k: v if k == "Content-Type" else v[:-6] + "AAAAAA" for k, v in headers.items()}
    attempts = [(bare, body), (wrong, body)]
    if made.webhook_secret not in str(headers):
        attempts.append((headers, body + b" "))
    for tried, content in attempts:
        answer = await http.post(made.webhook_url, content=content, headers=tried)
        assert answer.status_code == 401
    assert await stored(opened, two_tenants) == []


async def test_a_vendors_unreadable_body_is_kept(
    made: CreatedConnection, vendor: Vendor, http: httpx.AsyncClient, opened: Database, two_tenants: TwoTenants
) -> None:
    """A proven body the vendor would never send is kept as quarantined, with a reason a person can act on."""
    body = b'{"half": '
    proven = Proof(secret=made.webhook_secret, headers=made.headers)
    answer = await http.post(made.webhook_url, content=body, headers=_prove(vendor, proven, body))
    assert answer.status_code == 202
    (found,) = await stored(opened, two_tenants)
    assert found.state == "quarantined"
    assert found.reason


def _prove(vendor: Vendor, proof: Proof, body: bytes) -> dict[str, str]:
    """Return the headers that prove any body: each vendor's way, with the secret that was shown."""
    assert proof.secret is not None
    key = proof.secret.encode()
    if vendor.tool == "jira":
        return {"X-Hub-Signature": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()}
    stamp = str(int(time.time()))
    digest = hmac.new(key, f"m.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return {**proof.headers, "webhook-id": "m", "webhook-timestamp": stamp, "webhook-signature": signature}
