"""A connection tested by a worker against a real ticketing tool, or what stands in its place, in one sentence."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.support.databases import TenantRow
from tests.support.keys import make_vault
from tests.support.smtp import make_certificate

from aiops_core.plugins import load_plugins
from aiops_demo.simulators.base import Behaviour
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running
from aiops_host.data import connections as stored
from aiops_host.data import probes
from aiops_host.data.connections import PROBE
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.audit import Actor
from aiops_host.trust.connections import NewConnection, SystemClock, create_connection
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.doors import Doorkeeper
from aiops_host.trust.egress import GuardedHttp
from aiops_host.trust.vault import Vault
from aiops_host.work.probe_registry import KINDS
from aiops_host.work.probing import Prober
from aiops_host.work.workshop import Workshop

TOKEN = "canary-token-of-the-probe"
ACCOUNT = "bot@msp.example"
PAT = Actor("person", "pat@msp.example")
LOCAL = Destinations.parse("127.0.0.0/8,::1/128", "443")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a key in a file."""
    return make_vault(tmp_path)


@asynccontextmanager
async def worker(opened: Database, vault: Vault, destinations: Destinations) -> AsyncIterator[Prober]:
    """What a worker takes up probes with; it waits a second at most for an answer."""
    http = GuardedHttp.open(destinations, total_seconds=1)
    plugins, clock = load_plugins(), SystemClock()
    workshop = Workshop(database=opened, settings=Settings(), plugins=plugins, vault=vault, http=http, clock=clock)
    yield Prober(workshop=workshop, worker="w", every=3600, kinds=KINDS)
    await workshop.aclose()
    await http.aclose()


async def connected(opened: Database, vault: Vault, tenant: TenantRow, **config: Any) -> UUID:
    """Make a Jira connection; return its id."""
    whole = {"email": ACCOUNT, "api_token": TOKEN, **config}
    new = NewConnection(name="desk", ticketing_tool="jira", config=whole)
    return (await create_connection(opened, vault, load_plugins().registry, tenant.tenant_id, new)).connection_id


async def outcome(
    opened: Database, vault: Vault, tenant: TenantRow, connection_id: UUID, destinations: Destinations = LOCAL
) -> tuple[str, str]:
    """Have a worker test the connection; return how it ended and its sentence."""
    probe_id = await Doorkeeper(opened, PAT, tenant.tenant_id).ask_for_test(connection_id)
    async with worker(opened, vault, destinations) as prober:
        assert await prober.take_one()
    found = await probes.show(opened, tenant.tenant_id, probe_id)
    assert (found.kind, found.target) == (PROBE, str(connection_id))
    assert TOKEN not in str(found)
    return found.state, str(found.result)


async def test_a_working_connection_says_who_we_are(opened: Database, vault: Vault, tenant: TenantRow) -> None:
    """The account is named and remembered, and a connection the ticketing tool had refused goes on."""
    async with running(JiraSimulator(token=TOKEN, account=ACCOUNT)) as url:
        connection_id = await connected(opened, vault, tenant, base_url=url)
        state, said = await outcome(opened, vault, tenant, connection_id)
        assert (state, f"Connected to {url} as" in said) == ("ok", True)
        summary = await stored.summary(opened, tenant.tenant_id, connection_id)
        assert summary.account_id is not None
        await stored.set_state(opened, tenant.tenant_id, connection_id, "paused", "Jira refused the credentials.")
        _, said = await outcome(opened, vault, tenant, connection_id)
        assert said.endswith("The connection was paused and goes on.")
        assert (await stored.summary(opened, tenant.tenant_id, connection_id)).state == "active"


@pytest.mark.parametrize(
    ("config", "behaviour", "says"),
    [
        ({"api_token": "wrong"}, Behaviour(), "refuses the connection's credentials"),
        ({}, Behaviour(fail_with=403), "You do not have permission to do this."),
        ({}, Behaviour(fail_with=503), "Jira answered 503"),
        ({}, Behaviour(delay_ms=1500), "Check that no firewall stands between"),
    ],
    ids=["wrong token", "no permission", "unavailable", "no answer"],
)
async def test_what_the_ticketing_tool_refuses_is_a_sentence(
    opened: Database, vault: Vault, tenant: TenantRow, *, config: dict[str, str], behaviour: Behaviour, says: str
) -> None:
    """A wrong token, a missing permission, an outage and silence each end the test with what happened."""
    simulator = JiraSimulator(token=TOKEN, account=ACCOUNT)
    simulator.behave(behaviour)
    async with running(simulator) as url:
        connection_id = await connected(opened, vault, tenant, base_url=url, **config)
        state, said = await outcome(opened, vault, tenant, connection_id)
    assert state == "failed"
    assert says in said


@pytest.mark.parametrize(
    ("address", "says", "advice"),
    [
        ("https://jira.invalid", "is a name that DNS does not know here", "Check how the address is spelled"),
        ("http://127.0.0.1:1", "refuses connections", "Check the port of the address"),
    ],
    ids=["unknown host", "nobody there"],
)
async def test_an_address_nobody_answers_at_is_explained(
    opened: Database, vault: Vault, tenant: TenantRow, *, address: str, says: str, advice: str
) -> None:
    """A name that does not exist and a port without a server are told apart, with what to check."""
    connection_id = await connected(opened, vault, tenant, base_url=address)
    state, said = await outcome(opened, vault, tenant, connection_id)
    assert state == "failed"
    assert says in said
    assert advice in said


async def test_a_certificate_nobody_trusts_is_explained(
    opened: Database, vault: Vault, tenant: TenantRow, tmp_path: Path
) -> None:
    """A self-signed certificate ends the test before the token is sent."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(make_certificate(tmp_path))
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    connection_id = await connected(opened, vault, tenant, base_url=f"https://localhost:{port}")
    state, said = await outcome(opened, vault, tenant, connection_id)
    server.close()
    assert state == "failed"
    assert "a certificate that is not trusted here" in said
    assert "Have the server send a certificate that the worker's machine trusts" in said
    assert not any(seen)


async def test_a_private_address_has_to_be_allowed(opened: Database, vault: Vault, tenant: TenantRow) -> None:
    """A ticketing tool inside the network is refused with the setting that lets it in."""
    connection_id = await connected(opened, vault, tenant, base_url="https://127.0.0.1:8443")
    state, said = await outcome(opened, vault, tenant, connection_id, Destinations())
    assert (state, "AIOPS_EGRESS_PRIVATE=127.0.0.1/32" in said) == ("failed", True)


async def test_a_deleted_connection_s_test_ends(opened: Database, vault: Vault, tenant: TenantRow) -> None:
    """A test that was asked for before its connection went says so instead of staying open."""
    connection_id = await connected(opened, vault, tenant, base_url="https://jira.invalid")
    keeper = Doorkeeper(opened, PAT, tenant.tenant_id)
    probe_id = await keeper.ask_for_test(connection_id)
    await keeper.delete(connection_id, "desk")
    async with worker(opened, vault, LOCAL) as prober:
        await prober.take_one()
    found = await probes.show(opened, tenant.tenant_id, probe_id)
    assert (found.state, found.result) == ("failed", "There is no such connection.")
