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
RUN = """
insert into run (tenant_id, run_id, delivery_id, attempt, connection_id, ticket_id, agent, agent_version, dry_run, state,
                 started_at, finished_at, ticket, enhancement)
select tenant_id, gen_random_uuid(), delivery_id, 1, connection_id, ticket_id, 'enhance', '1', true, 'finished',
       timestamptz '2026-11-20 10:00:01+00', timestamptz '2026-11-20 10:00:03+00',
       '{"id": "OPS-1", "title": "Callers cannot hear us"}',
       '{"body": [{"type": "paragraph", "text": "Restart it."}]}'
from delivery where delivery_id = $1
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


def store(database: DatabaseUrls, statement: str, *values: object) -> None:
    """Change what is stored."""

    async def work() -> None:
        con = await asyncpg.connect(database.superuser)
        try:
            await con.execute(statement, *values)
        finally:
            await con.close()

    run_apart(work())


def test_a_delivery_is_shown_with_its_times(aiops: Aiops, delivered: Any) -> None:
    """When it came, when each attempt began and ended, and when the next is due, all in UTC."""
    shown = aiops("deliveries", "show", delivered("queued", reason="Jira is not reachable."), "--tenant", "acme")

    assert "received 2026-11-20 10:00:00 UTC, next try at 2126-11-20 12:00:00 UTC\n" in shown
    attempt = "attempt 1 (scheduled): retry  2026-11-20 10:00:01 to 2026-11-20 10:00:03 UTC  Jira is not reachable.\n"
    assert attempt in shown


def test_a_delivery_of_a_paused_connection_says_what_it_waits_for(aiops: Aiops, delivered: Any) -> None:
    """While its connection is paused a queued delivery names it instead of a time, to people and to programs."""
    queued, done = delivered("queued"), delivered("done")
    aiops("connections", "pause", "desk", "--tenant", "acme")
    shown = aiops("deliveries", "show", queued, "--tenant", "acme")
    assert (
        "waits for its paused connection desk: mend it, then `aiops connections resume desk --tenant acme`\n" in shown
    )
    assert "next try" not in shown
    listed = aiops("deliveries", "list", "--tenant", "acme", "--json")["items"]
    assert {d["id"]: d["waits_for"] for d in listed} == {str(queued): "desk", str(done): None}
    aiops("connections", "resume", "desk", "--tenant", "acme")
    assert aiops("deliveries", "show", queued, "--tenant", "acme", "--json")["delivery"]["waits_for"] is None


def test_work_of_a_suspended_tenant_says_that_it_waits(aiops: Aiops, delivered: Any) -> None:
    """The list, the delivery and a replay each say that nothing happens until the tenant is resumed."""
    queued, done = delivered("queued"), delivered("done")
    aiops("tenants", "suspend", "acme")
    assert "what is queued waits until `aiops tenants resume acme`" in aiops("deliveries", "list", "--tenant", "acme")
    assert "waits because its tenant is suspended" in aiops("deliveries", "show", queued, "--tenant", "acme")
    assert "It waits: the tenant is suspended" in aiops("deliveries", "replay", done, "--tenant", "acme")
    aiops("tenants", "resume", "acme")
    assert "suspended" not in aiops("deliveries", "list", "--tenant", "acme")


def test_a_ticket_is_found_however_it_is_written(aiops: Aiops, delivered: Any) -> None:
    """An id typed in small letters finds the ticket the tool writes in capitals."""
    found = delivered("done")
    delivered("done", ticket_id="OPS-2")
    page = aiops("deliveries", "list", "--tenant", "acme", "--ticket", "ops-1", "--json")
    assert [item["id"] for item in page["items"]] == [str(found)]


def test_runs_of_a_delivery_are_told_apart(aiops: Aiops, delivered: Any, database: DatabaseUrls) -> None:
    """The ticket's title stands on top; each run shows when and why it ran and whether its note was posted."""
    delivery = delivered("done")
    store(database, RUN, delivery)
    shown = aiops("deliveries", "show", delivery, "--tenant", "acme")
    assert "\n  Callers cannot hear us\n" in shown
    assert ": dry-run  2026-11-20 10:00:01 UTC, attempt 1 (scheduled)\n" in shown
    assert "the note of this run (dry-run):" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "4711"), "'4711' is no delivery id; `aiops deliveries list` shows them."),
        (("replay", "4711"), "'4711' is no delivery id"),
        (("list", "--state", "lost"), "is not one of 'queued', 'running'"),
    ],
)
def test_what_names_no_delivery_is_refused_in_words(aiops: Aiops, arguments: tuple[str, ...], says: str) -> None:
    """An id that is none, and a state there is not, end with 2 and what to give instead."""
    assert says in aiops("deliveries", *arguments, "--tenant", "acme", code=2)


def test_a_dry_run_that_should_post_is_refused(aiops: Aiops, delivered: Any) -> None:
    """What contradicts itself ends with 2 and what to choose, and queues nothing."""
    done = delivered("done")
    error = aiops("deliveries", "replay", "--tenant", "acme", done, "--dry-run", "--post-again", code=2)
    assert "Give either --dry-run, which posts nothing, or --post-again, which posts a further note." in error
    assert aiops("deliveries", "show", done, "--tenant", "acme", "--json")["delivery"]["state"] == "done"


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


def test_an_unknown_delivery_is_answered_with_where_the_known_ones_are(aiops: Aiops) -> None:
    """Shown or run again: which tenant has none of that id, and how to list its deliveries."""
    aiops("tenants", "create", "acme")
    unknown = uuid4()
    for command in ("show", "replay"):
        said = aiops("deliveries", command, unknown, "--tenant", "acme", code=1)
        assert f"acme has no delivery {unknown}; `aiops deliveries list --tenant acme` shows those it has." in said
