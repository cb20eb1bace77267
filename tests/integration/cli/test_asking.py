"""Connections tested by command: a worker makes the test, because credentials open in no other process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Aiops
from tests.integration.cli.test_mending import ACCOUNT, TOKEN, stored
from tests.support.databases import DatabaseUrls, run_apart
from tests.support.probing import alive, probing_worker
from tests.support.threads import in_thread
from tests.support.waiting import wait_for

from aiops_demo.simulators.base import Behaviour
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running
from aiops_host.cli import asking
from aiops_host.cli.main import main

TEST = ("connections", "test", "desk", "--tenant", "acme")


@pytest.fixture
def jira() -> Iterator[JiraSimulator]:
    """A Jira that knows one token."""
    simulator = JiraSimulator(token=TOKEN, account=ACCOUNT)
    with in_thread(running(simulator)):
        yield simulator


@pytest.fixture
def desk(aiops: Aiops, tmp_path: Path, jira: JiraSimulator) -> dict[str, Any]:
    """A connection to that Jira, as it was made."""
    aiops("tenants", "create", "acme")
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"base_url": jira.url, "email": ACCOUNT, "api_token": TOKEN}))
    command = ("connections", "create", "--tenant", "acme", "--name", "desk", "--tool", "jira", "--config", file)
    return dict(aiops(*command, "--json"))


@pytest.mark.usefixtures("desk", "worker")
def test_the_credential_opens_in_the_worker(aiops: Aiops, jira: JiraSimulator, database: DatabaseUrls) -> None:
    """The command says who we are, remembers the account, and no other process than the worker opened a secret."""
    assert aiops(*TEST).startswith(f"ok: Connected to {jira.url} as ")
    assert aiops(*TEST, "--json")["status"] == "ok"
    asked = "select count(*) from audit_entry where act = 'connection.test' and actor_kind = 'operator'"
    assert stored(database, asked) == 2
    opened = "select string_agg(distinct actor, ', ') from audit_entry where act = 'secret.decrypt'"
    wait_for(lambda: stored(database, opened), "the decryption to be in the trail")
    assert stored(database, opened) == "worker"
    assert stored(database, "select account_id from connection") is not None


@pytest.mark.usefixtures("desk", "worker")
def test_what_is_wrong_is_said(aiops: Aiops, jira: JiraSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The worker's sentence is what is printed, and the exit code is 1."""
    jira.behave(Behaviour(fail_with=503))
    assert main(TEST) == 1
    assert capsys.readouterr().out == "failed: Jira answered 503: Service unavailable\n"


@pytest.mark.usefixtures("desk")
def test_without_a_worker_it_is_said_at_once(aiops: Aiops, database: DatabaseUrls) -> None:
    """One sentence says what to start; no test is asked for, and none is in the trail."""
    error = aiops(*TEST, code=1)
    assert error == (
        "aiops connections: No worker is running, and credentials open in a worker only: "
        "start `aiops worker`, or all parts by `aiops up`.\n"
    )
    assert stored(database, "select count(*) from probe") == 0
    assert stored(database, "select count(*) from audit_entry where act = 'connection.test'") == 0


@pytest.mark.usefixtures("desk")
def test_a_worker_that_died_is_not_waited_for(
    aiops: Aiops, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its last sign of life is too old the wait ends, and so does the test."""
    run_apart(alive(database))
    stored(database, "update worker set seen_at = clock_timestamp() - interval '29.5 seconds' returning true")
    monkeypatch.setattr(asking, "LOOK_SECONDS", 0.2)
    assert "No worker is running" in aiops(*TEST, code=1)
    assert stored(database, "select count(*) from probe") == 0


@pytest.mark.usefixtures("desk")
def test_the_wait_is_bounded(aiops: Aiops, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lives and does not answer is not waited for longer; its test is taken back."""
    run_apart(alive(database))
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.3)
    assert "No worker answered in time" in aiops(*TEST, code=1)
    assert stored(database, "select count(*) from probe") == 0


@pytest.mark.usefixtures("desk", "worker")
def test_a_suspended_tenant_says_so(aiops: Aiops) -> None:
    """No worker works for it, so nobody waits."""
    aiops("tenants", "suspend", "acme")
    assert "is suspended, so no worker works for it; resume it first" in aiops(*TEST, code=1)


@pytest.mark.usefixtures("desk")
def test_a_worker_is_told(
    aiops: Aiops, database: DatabaseUrls, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a Redis, a worker that would not look by itself has the test at once."""
    monkeypatch.setenv("AIOPS_REDIS_URL", redis_url)
    with probing_worker(database, tmp_path / "key", redis_url):
        assert aiops(*TEST).startswith("ok: ")


@pytest.mark.usefixtures("desk", "worker")
def test_an_absent_redis_only_costs_time(aiops: Aiops, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker finds the test by looking."""
    monkeypatch.setenv("AIOPS_REDIS_URL", "redis://127.0.0.1:1")
    assert aiops(*TEST).startswith("ok: ")
