"""A connection's credentials are changed by command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.integration.cli.conftest import Aiops
from tests.support.databases import DatabaseUrls, run_apart
from tests.support.threads import in_thread

from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running

TOKEN = "canary-token-of-the-test"
ACCOUNT = "aiops@msp.example"
ONE = ("connections", "list", "--tenant", "acme", "--json")


@pytest.fixture
def jira() -> Iterator[JiraSimulator]:
    """A Jira that knows one token."""
    simulator = JiraSimulator(token=TOKEN, account=ACCOUNT)
    with in_thread(running(simulator)):
        yield simulator


@pytest.fixture
def refused(aiops: Aiops, tmp_path: Path, jira: JiraSimulator, database: DatabaseUrls) -> dict[str, Any]:
    """A connection whose token is wrong, paused for it; as it is listed."""
    aiops("tenants", "create", "acme")
    command = ("connections", "create", "--tenant", "acme", "--name", "desk", "--tool", "jira")
    config = {"base_url": jira.url, "email": ACCOUNT, "api_token": "wrong"}
    aiops(*command, "--config", written(tmp_path, **config))
    stored(database, "update connection set state = 'paused', state_reason = 'Jira refused the credentials.'")
    (listed,) = aiops(*ONE)
    return dict(listed)


def written(folder: Path, **config: object) -> Path:
    """Write a configuration file."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    return file


def stored(database: DatabaseUrls, statement: str) -> Any:
    """Run a statement as the superuser; return its first value."""

    async def work() -> Any:
        con = await asyncpg.connect(database.superuser)
        try:
            return await con.fetchval(statement)
        finally:
            await con.close()

    return run_apart(work())


@pytest.mark.usefixtures("worker")
def test_mended_credentials_let_a_connection_go_on(
    aiops: Aiops, tmp_path: Path, refused: dict[str, Any], database: DatabaseUrls
) -> None:
    """The new token is sealed and tested, the rest and the webhook's address stay, and the pause ends."""
    secret = stored(database, "select sealed from secret where owner_kind = 'endpoint'")
    said = aiops("connections", "set", "desk", "--tenant", "acme", "--config", written(tmp_path, api_token=TOKEN))
    assert " is changed\nok: Connected to " in said
    assert said.endswith("The connection was paused and goes on.\n")
    (listed,) = aiops(*ONE)
    changed = {"state": "active", "state_reason": None, "account_id": listed["account_id"]}
    assert listed["last_test"]["state"] == "ok"
    assert listed == {**refused, **changed, "last_test": listed["last_test"]}
    assert stored(database, "select config_version from connection") == 2
    assert stored(database, "select string_agg(config::text, '') from connection").count(TOKEN) == 0
    assert stored(database, "select sealed from secret where owner_kind = 'endpoint'") == secret


@pytest.mark.usefixtures("worker")
def test_credentials_that_are_still_refused_leave_it_paused(
    aiops: Aiops, tmp_path: Path, refused: dict[str, Any]
) -> None:
    """The command says what the ticketing tool said and ends with 1; nothing goes on."""
    command = ("connections", "set", "desk", "--tenant", "acme", "--config", written(tmp_path, api_token="worse"))
    aiops(*command, code=1)
    (listed,) = aiops(*ONE)
    assert "refuses the connection's credentials" in listed["last_test"]["result"]
    assert listed == {**refused, "last_test": listed["last_test"]}


@pytest.mark.usefixtures("worker")
def test_what_a_person_paused_stays_paused(aiops: Aiops, tmp_path: Path, refused: dict[str, Any]) -> None:
    """New credentials end no pause that a person made."""
    aiops("connections", "pause", "desk", "--tenant", "acme")
    aiops("connections", "set", "desk", "--tenant", "acme", "--config", written(tmp_path, api_token=TOKEN))
    assert aiops(*ONE)[0]["state"] == "paused"


def test_without_a_worker_the_change_is_kept_and_untested(
    aiops: Aiops, tmp_path: Path, refused: dict[str, Any], database: DatabaseUrls
) -> None:
    """The command says what to start and ends with 1; the connection stays as it was, with the new credentials."""
    command = ("connections", "set", "desk", "--tenant", "acme", "--config", written(tmp_path, api_token=TOKEN))
    assert "start `aiops worker`" in aiops(*command, code=1)
    assert stored(database, "select config_version from connection") == 2
    assert aiops(*ONE) == [refused]


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"base_url": "https://elsewhere.example"}, "api_token: give it again"),
        ({"colour": "red"}, "colour: there is no such field"),
        ({"api_token": None}, "Jira Cloud needs email and api_token"),
        ({}, "Say what to change"),
    ],
)
def test_a_change_that_does_not_fit_changes_nothing(
    aiops: Aiops, tmp_path: Path, database: DatabaseUrls, config: dict[str, Any], says: str
) -> None:
    """A field there is not, a credential taken away, and a stored credential for another address are refused."""
    before = stored(database, "select row(config, config_version)::text from connection")
    error = aiops("connections", "set", "desk", "--tenant", "acme", "--config", written(tmp_path, **config), code=2)
    assert says in error
    assert stored(database, "select row(config, config_version)::text from connection") == before
