"""Deliveries shown and replayed by command."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.integration.cli.conftest import Aiops
from tests.support.databases import DatabaseUrls, run_apart

DELIVERY = """
insert into delivery (tenant_id, delivery_id, connection_id, endpoint_id, external_id, headers, body, proof_scheme,
                      ticket_id, action, state, reason, received_at, attempt, tries, due_at)
select tenant_id, $1::uuid, connection_id, 'e', $1::uuid::text, '{}', '', 'hmac', $2, 'run', $3, $4,
       timestamptz '2026-11-20 10:00:00+00', 1, 1, timestamptz '2126-11-20 12:00:00+00'
from connection
"""
ATTEMPT = """
insert into attempt (tenant_id, delivery_id, number, trigger, worker, started_at, finished_at, outcome, reason)
select tenant_id, delivery_id, 1, 'scheduled', 'w', timestamptz '2026-11-20 10:00:01+00',
       timestamptz '2026-11-20 10:00:03+00', 'retry', 'Jira is not reachable.' from delivery where delivery_id = $1
"""


@pytest.fixture
def delivered(aiops: Aiops, tmp_path: Path, database: DatabaseUrls) -> Any:
    """Put a delivery in a state, tried once, into a tenant's connection; return its id."""
    aiops("tenants", "create", "acme")
    command = ("connections", "create", "--tenant", "acme", "--name", "desk", "--tool", "jira")
    config = ("--set", "base_url=https://j.example", "--set", "email=a@b.example", "--set", "api_token=t")
    aiops(*command, *config)

    def put(state: str, *, ticket_id: str | None = "OPS-1", reason: str | None = None) -> UUID:
        async def work() -> UUID:
            con = await asyncpg.connect(database.superuser)
            try:
                delivery_id = uuid4()
                await con.execute(DELIVERY, delivery_id, ticket_id, state, reason)
                await con.execute(ATTEMPT, delivery_id)
            finally:
                await con.close()
            return delivery_id

        return run_apart(work())

    return put


def test_a_delivery_is_shown_with_its_times(aiops: Aiops, delivered: Any) -> None:
    """When it came, when each attempt began and ended, and when the next is due, all in UTC."""
    shown = aiops("deliveries", "show", delivered("queued", reason="Jira is not reachable."), "--tenant", "acme")

    assert "received 2026-11-20 10:00:00 UTC, next try at 2126-11-20 12:00:00 UTC\n" in shown
    attempt = "attempt 1 (scheduled): retry  2026-11-20 10:00:01 to 2026-11-20 10:00:03 UTC  Jira is not reachable.\n"
    assert attempt in shown


def test_a_replay_is_refused_with_what_to_do_instead(aiops: Aiops, delivered: Any) -> None:
    """A delivery in a worker's hands, and one that names no ticket, end with 1 and the API's own words."""
    replay = ("deliveries", "replay", "--tenant", "acme")
    running = delivered("running")
    for options in ((), ("--dry-run",)):
        error = aiops(*replay, running, *options, code=1)
        assert error == "aiops deliveries: The delivery is being worked on; replay it once it has ended.\n"
    unread = delivered("quarantined", ticket_id=None, reason="The body is no JSON.")
    error = aiops(*replay, unread, code=1)
    assert "names no ticket, so there is nothing to replay: The body is no JSON. Correct what jira sends" in error
    waiting = delivered("queued")
    assert "a dry run would take" in aiops(*replay, waiting, "--dry-run", code=1)
    assert aiops(*replay, waiting, "--json")["trigger"] == "manual"
