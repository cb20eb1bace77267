"""Imports of past tickets from a ticketing tool that is away, at first or meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Aiops
from tests.support.threads import in_thread

from aiops_demo.simulators.base import Answer, Call
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running
from aiops_host.cli.installation import free_port

TOKEN = "token-of-the-test"
ACCOUNT = "aiops@msp.example"
TICKETS = 120
"""More than a page of a search."""


class Faltering(JiraSimulator):
    """A Jira whose second and later searches fail until ``failures`` are used up."""

    failures = 0
    searches = 0
    asks_to_wait = False

    async def answer(self, call: Call) -> Answer:
        """Answer one call."""
        self.searches += "/search" in call.path
        if self.searches > 1 and self.failures:
            self.failures -= 1
            return self.failure(429, retry_after=1) if self.asks_to_wait else self.failure(503)
        return await super().answer(call)


@pytest.fixture
def jira() -> Iterator[Faltering]:
    """A Jira with resolved tickets."""
    simulator = Faltering(token=TOKEN, account=ACCOUNT)
    for number in range(1, TICKETS + 1):
        times = {"created_at": "2026-11-20T09:00:00+00:00", "resolved_at": "2026-11-20T10:00:00+00:00"}
        neutral = {"ticket_id": f"OPS-{number}", "title": f"Trouble {number}", "description": "", **times}
        simulator.add_ticket(simulator.to_vendor({**neutral, "resolution": "Fixed"}))
    with in_thread(running(simulator)):
        yield simulator


def connected(aiops: Aiops, folder: Path, base_url: str) -> dict[str, Any]:
    """Create the tenant acme with a connection to ``base_url``."""
    aiops("tenants", "create", "acme")
    file = folder / "jira.json"
    file.write_text(json.dumps({"base_url": base_url, "email": ACCOUNT, "api_token": TOKEN}))
    command = ("connections", "create", "--tenant", "acme", "--name", "desk", "--tool", "jira", "--config", file)
    made: dict[str, Any] = aiops(*command, "--json")
    return made


def test_a_tool_that_cannot_be_reached_ends_the_import_at_once(aiops: Aiops, tmp_path: Path) -> None:
    """One sentence with the address and what to check, and no waiting: the address is more likely wrong than away."""
    address = f"http://127.0.0.1:{free_port()}"
    made = connected(aiops, tmp_path, address)

    error = aiops("tickets", "import", "--tenant", "acme", code=1)

    assert error.count("\n") == 1
    assert f"Nothing was read through the connection 'desk' to {address}: Jira is not reachable" in error
    assert f"aiops connections test {made['connection_id']} --tenant acme" in error
    assert "Going on in" not in error


def test_a_tool_that_goes_away_meanwhile_is_waited_for(aiops: Aiops, tmp_path: Path, jira: Faltering) -> None:
    """What was read is kept, the wait is told, and the import goes on where it stopped."""
    connected(aiops, tmp_path, jira.url)
    jira.failures = 1

    counted = aiops("tickets", "import", "--tenant", "acme", "--since", "2026-11-01", "--json")

    assert jira.failures == 0
    assert counted["added"] == TICKETS


def test_a_request_to_wait_is_obeyed_from_the_start(aiops: Aiops, tmp_path: Path, jira: Faltering) -> None:
    """A ticketing tool that answers 429 is there: the import waits as long as it asks."""
    connected(aiops, tmp_path, jira.url)
    jira.failures, jira.searches, jira.asks_to_wait = 1, 1, True

    assert aiops("tickets", "import", "--tenant", "acme", "--since", "2026-11-01", "--json")["added"] == TICKETS
