"""Webhook bodies of every shape, rightly signed, to the vendors' own readers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.bodies import KINDS
from benchmarks.fuzz_webhooks import CONFIGS, Sender, fuzz
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.processes import Running, running

from aiops_core import load_plugins
from aiops_host.data.session import Database
from aiops_host.trust.connections import NewConnection, create_connection
from aiops_host.trust.vault import Vault

BODIES = 600


@pytest.fixture
def host(database: DatabaseUrls, vault: Vault, tmp_path: Path) -> Iterator[Running]:
    """A host process."""
    environment = {
        "AIOPS_DATABASE_URL": database.app,
        "AIOPS_INTAKE_DATABASE_URL": database.intake,
        "AIOPS_KEY_FILE": str(tmp_path / "key"),
        "AIOPS_PORT": "0",
    }
    with running("serve", environment, tmp_path / "host.log") as process:
        yield process


@pytest.mark.promise("api-does-not-break", figure="600 bodies; 200,000 by `python benchmarks/fuzz_webhooks.py`")
@pytest.mark.attack(14, figure="600 bodies; 200,000 by `python benchmarks/fuzz_webhooks.py`")
async def test_no_body_breaks_the_intake(
    host: Running, opened: Database, two_tenants: TwoTenants, vault: Vault
) -> None:
    """Whatever stands in a proven webhook, it is kept and answered 202, or refused; never with a server error."""
    registry, senders = load_plugins().registry, []
    for tool, config in CONFIGS.items():
        new = NewConnection(name=tool, ticketing_tool=tool, config=dict(config))
        made = await create_connection(opened, vault, registry, two_tenants.a.tenant_id, new)
        senders.append(Sender.of(tool, made))
    account = (await fuzz(str(host.said["base_url"]), senders, BODIES, 1)).account

    assert account.faults == []
    assert account.statuses == {202: BODIES}
    assert account.labels.keys() == KINDS.keys()
    async with opened.tenant(two_tenants.a.tenant_id) as con:
        states = dict(await con.fetch("select state, count(*) from delivery group by state"))
    assert {"queued", "quarantined"} <= set(states)
    assert sum(states.values()) == len(account.told)
