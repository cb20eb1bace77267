"""``aiops demo --once --json``: the whole way in one command."""

import json
import stat
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.demo import START_SECONDS, Demo

FIRST_CONTENT = "of an earlier demo"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo that ran to its end over the state file of an earlier one, which somebody still reads."""
    folder = tmp_path_factory.mktemp("once")
    earlier = folder / "state.json"
    earlier.write_text(FIRST_CONTENT)
    earlier.chmod(0o644)
    (folder / "reader").hardlink_to(earlier)
    running = Demo("--once", "--json", folder=folder)
    try:
        running.wait(START_SECONDS)
        yield running
    finally:
        running.clean_up()


@pytest.fixture(scope="module")
def summary(once: Demo) -> dict[str, Any]:
    """The line of JSON."""
    (line,) = once.out.read_text().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture(scope="module")
def state(once: Demo) -> dict[str, Any]:
    """The state file."""
    found: dict[str, Any] = json.loads(once.state_file.read_text())
    return found


def test_it_succeeds_and_leaves_nothing(once: Demo) -> None:
    """The exit code is 0, no process lives on, and no temporary folder stays."""
    assert once.process.returncode == 0, once.err.read_text()
    once.assert_gone()
    assert list(once.temporary.iterdir()) == []


def test_each_ticket_has_one_internal_note(summary: dict[str, Any]) -> None:
    """Twelve tickets of two tenants have exactly one internal note each, the first of them after a measured time."""
    assert summary["notes"] == len(summary["tickets"]) == 12
    assert {(t["notes"], t["internal"]) for t in summary["tickets"]} == {(1, True)}
    assert len({t["ticket"] for t in summary["tickets"]}) == 12
    assert {t["tenant"] for t in summary["tickets"]} == {"harbor", "lindner"}
    assert 0 < summary["first_note_s"] <= summary["total_s"]


def test_progress_goes_beside_the_json(once: Demo) -> None:
    """The progress a person reads is on standard error, with every note's arrival."""
    assert once.err.read_text().count("posted after") == 12


def test_the_state_file_has_the_agreed_fields(state: dict[str, Any]) -> None:
    """Another program finds addresses, logins, secrets and process ids under the names it was promised."""
    assert set(state) == {"base_url", "admin_url", "users", "tenants", "database_url", "redis_url", "metrics", "pids"}
    assert set(state["pids"]) == {"host", "worker", "admin"}
    assert set(state["metrics"]) == {"host", "worker"}
    assert all(set(user) == {"email", "password", "role", "tenant"} for user in state["users"])
    assert {user["role"] for user in state["users"]} == {"platform-admin", "tenant-admin", "technician"}
    assert [set(tenant) for tenant in state["tenants"]] == [{"id", "slug", "connections"}] * 2
    fields = {"ticketing_tool", "webhook_url", "secret", "headers", "simulator_url"}
    connections = [connection for tenant in state["tenants"] for connection in tenant["connections"]]
    assert [set(connection) for connection in connections] == [fields, fields]
    assert {connection["ticketing_tool"] for connection in connections} == {"jira", "servicedesk"}
    secrets = [connection["secret"] for connection in connections] + [user["password"] for user in state["users"]]
    assert len(set(secrets)) == len(secrets)


def test_the_state_file_is_renamed_into_place(once: Demo) -> None:
    """Whoever reads the old file goes on reading it whole; the new one is for its owner's eyes only."""
    assert once.state_file.with_name("reader").read_text() == FIRST_CONTENT
    assert stat.S_IMODE(once.state_file.stat().st_mode) == 0o600
    assert [path.name for path in once.state_file.parent.glob("state.json*")] == ["state.json"]
