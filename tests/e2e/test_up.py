"""``aiops up``: its data, its commands, its restarts."""

import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest
from tests.support.api import Api
from tests.support.desk import Desk
from tests.support.installation import Installation
from tests.support.programs import END_SECONDS, Program
from tests.support.vault_server import TOKEN, VaultServer
from tests.support.waiting import wait_for


@pytest.fixture
def api(quick: Installation) -> Api:
    """The quick installation's API."""
    assert quick.api
    return quick.api


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_data_survives_a_restart(quick: Installation, north: Desk, api: Api, how: signal.Signals) -> None:
    """However it ended, it goes on with its tenants, connections, logins and secrets, and with what waited."""
    before, done = north.deliver(north.ticket("Before the restart"))
    api.await_end("north", done)
    quick.aiops("connections", "pause", north.connection_id, "--tenant", "north")
    over, waiting = north.deliver(north.ticket("Over the restart"))
    assert api.state("north", waiting) == "queued"
    quick.program.end(how)
    assert quick.program.out.read_text().endswith("Stopped.\n") == (how == signal.SIGTERM)
    quick.program.clean_up()
    quick.start()
    assert quick.state["login"] is None
    assert (api.state("north", done), api.state("north", waiting)) == ("done", "queued")
    quick.aiops("connections", "resume", north.connection_id, "--tenant", "north")
    after, later = north.deliver(north.ticket("After the restart"))
    for delivery_id in (waiting, later):
        assert api.await_end("north", delivery_id)["delivery"]["state"] == "done"
    assert [len(north.notes(ticket_id)) for ticket_id in (before, over, after)] == [1, 1, 1]


def test_deliveries_are_listed_and_shown(quick: Installation, north: Desk, api: Api) -> None:
    """The list and the details of deliveries are there for people and, with --json, for programs."""
    ticket_id, delivery_id = north.deliver(north.ticket("To be listed"))
    api.await_end("north", delivery_id)
    page = quick.aiops("deliveries", "list", "--tenant", "north", "--ticket", ticket_id, "--json")
    assert [(item["id"], item["state"], item["ticket_id"]) for item in page["items"]] == [
        (delivery_id, "done", ticket_id)
    ]
    table = quick.aiops("deliveries", "list", "--tenant", "north", "--state", "done")
    assert delivery_id in table
    shown = quick.aiops("deliveries", "show", delivery_id, "--tenant", "north", "--json")
    assert [run["run"]["state"] for run in shown["runs"]] == ["finished"]
    assert shown["runs"][0]["steps"]
    text = quick.aiops("deliveries", "show", delivery_id, "--tenant", "north")
    assert "attempt 1 (scheduled): planned" in text
    assert "AI Ops: first findings" in text


def test_a_delivery_is_replayed(quick: Installation, south: Desk, api: Api) -> None:
    """A dry run and a plain replay leave the ticket as it is, --post-again puts one more note on it."""
    ticket_id, delivery_id = south.deliver(south.ticket("To be replayed"))
    api.await_end("south", delivery_id)
    replay = ("deliveries", "replay", delivery_id, "--tenant", "south", "--json")
    for options, outcome, notes in (
        (("--dry-run",), "dry-run", 1),
        ((), "kept", 1),
        (("--post-again",), "planned", 2),
        ((), "kept", 2),
    ):
        assert quick.aiops(*replay, *options)["state"] == "queued"
        ended = api.await_end("south", delivery_id)
        assert (ended["attempts"][-1]["trigger"], ended["attempts"][-1]["outcome"]) == ("manual", outcome)
        assert len(south.notes(ticket_id)) == notes
    assert len(ended["runs"]) == 5
    assert sorted(effect["state"] for effect in ended["effects"]) == ["confirmed", "confirmed"]


def test_plugins_are_listed(quick: Installation) -> None:
    """Each installed plugin is listed with distribution, version, status and what it contributes."""
    listed = {plugin["name"]: plugin for plugin in quick.aiops("plugins", "list", "--json")}
    assert set(listed) >= {"admin", "agents", "demo", "host", "jira", "servicedesk"}
    assert {plugin["status"] for plugin in listed.values()} == {"loaded"}
    assert listed["jira"]["distribution"] == "aiops-jira"
    assert listed["jira"]["version"]
    assert "jira" in str(listed["jira"]["contributes"])


def test_history_is_imported_from_the_ticketing_tool(quick: Installation, south: Desk) -> None:
    """Resolved tickets of the last 90 days become history; importing them again changes nothing."""
    for number in range(3):
        fixed = {"resolution": f"Fixed {number}", "resolved_at": "2026-11-20T10:00:00+00:00"}
        south.add(south.ticket(f"Old trouble {number}", created_at="2026-11-20T09:00:00+00:00", **fixed))
    command = ("tickets", "import", "--tenant", "south", "--connection", south.connection_id, "--since", "2026-11-01")
    assert quick.aiops(*command, "--json")["added"] >= 3
    assert quick.aiops(*command, "--json")["added"] == 0


def test_a_killed_server_comes_back(quick: Installation, north: Desk, api: Api) -> None:
    """PostgreSQL and Redis, when killed, are started again at their addresses, and work goes on by the same parts."""
    parts = {name: quick.pid(name) for name in ("host", "worker", "admin")}
    for name, command in (("PostgreSQL", "bin/postgres -D"), ("Redis", "redis-server")):
        server = quick.program.child(command)
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda name=name: f"{name} runs again" in quick.program.out.read_text(), name, logs=quick.logs)
        assert not server.is_alive()
    wait_for(lambda: api.ready().status_code == 200, "the host to be ready", logs=quick.logs)
    ticket_id, delivery_id = north.deliver(north.ticket("The servers were killed"))
    assert api.await_end("north", delivery_id)["delivery"]["state"] == "done"
    assert len(north.notes(ticket_id)) == 1
    assert {name: quick.pid(name) for name in parts} == parts


def test_a_second_up_on_one_folder_is_refused(quick: Installation, tmp_path: Path) -> None:
    """It names the process that holds the folder, starts nothing and changes nothing there."""
    settings = (quick.data / "aiops.env").read_bytes()
    second = Program("up", "--data", str(quick.data), "--port", "0", "--admin-port", "0", folder=tmp_path)
    try:
        assert second.wait(END_SECONDS) == 2
        second.assert_gone()
        said = second.err.read_text()
        assert said.startswith(f"aiops up: {quick.data} is in use by another `aiops up`, process {quick.program.pid}:")
        assert len(said.splitlines()) == 1
        assert list(second.temporary.iterdir()) == []
    finally:
        second.clean_up()
    assert (quick.data / "aiops.env").read_bytes() == settings


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A folder below a file ends with 2 and a sentence."""
    (tmp_path / "file").write_text("")
    program = Program("up", "--data", str(tmp_path / "file" / "data"), folder=tmp_path)
    try:
        assert program.wait(END_SECONDS) == 2
        assert f"aiops up: {tmp_path}/file/data is no folder but a file, or lies below one" in program.err.read_text()
    finally:
        program.clean_up()


def test_a_server_that_cannot_come_back_ends_all(tmp_path: Path) -> None:
    """The end says which server died, why it does not start and where its log is; no process is left."""
    program = Program(
        *("up", "--data", str(tmp_path / "data"), "--port", "0", "--admin-port", "0", "--until-stdin-closes"),
        folder=tmp_path,
    )
    try:
        program.await_output("Ctrl-C ends everything")
        family = program.family()
        (tmp_path / "data/postgres/cluster/postgresql.auto.conf").write_text("no_such_setting = 1\n")
        os.kill(program.child("bin/postgres -D").pid, signal.SIGKILL)
        assert program.wait(END_SECONDS) == 1
        program.assert_gone(family)
        said = program.err.read_text()
        log = tmp_path / "data/postgres/postgres.log"
        assert f"aiops up: PostgreSQL ended and cannot be started again; its log is {log}. " in said
        assert "no_such_setting" in said
        assert "Traceback" not in said
        assert "Stopped." not in program.out.read_text()
    finally:
        program.clean_up()


def test_the_first_login_outlives_a_start_that_failed(tmp_path: Path) -> None:
    """It is shown by the first start that succeeds; later ones say how to get a new password, whatever else is set.

    The report of a part that does not start shows only lines of that start.
    """
    up = ("up", "--data", str(tmp_path / "data"), "--port", "0", "--admin-port", "0", "--until-stdin-closes")
    (tmp_path / "data" / "log").mkdir(parents=True)
    (tmp_path / "data" / "log" / "host.log").write_text("trouble of last week\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        failed = Program(*up, "--metrics-port", port, folder=tmp_path)
        try:
            assert failed.wait(END_SECONDS) == 1
            failed.assert_gone()
            assert f"AIOPS_METRICS_PORT {port}: Address already in use" in failed.err.read_text()
            assert "last week" not in failed.err.read_text()
        finally:
            failed.clean_up()
    for says in (
        r"login      admin@aiops\.example  password (\S{20})",
        r"for a new password: aiops users password admin@",
    ):
        program = Program(*up, folder=tmp_path, environment={"AIOPS_ENV_FILE": str(tmp_path / "nowhere")})
        try:
            program.await_output("Ctrl-C ends everything")
            assert re.search(says, program.out.read_text())
            program.end()
        finally:
            program.clean_up()


def test_commands_open_with_the_key_provider_of_up(tmp_path: Path) -> None:
    """With nothing but the file of settings a command seals through the same Vault as host and worker."""
    (tmp_path / "token").write_text(TOKEN)
    with VaultServer() as vault:
        config = {"address": vault.address, "token_file": str(tmp_path / "token")}
        settings = {"AIOPS_KEY_PROVIDER": "vault-transit", "AIOPS_KEY_PROVIDER_CONFIG": json.dumps(config)}
        installation = Installation(tmp_path, settings)
        try:
            installation.create_tenant("acme")
            model = 'models=[{"model": "openai/x", "api_key": "k"}]'
            installation.aiops("backends", "set", "litellm", "--tenant", "acme", "--set", model)
            status = installation.aiops("keys", "status", "--json")
            assert (status["provider"], status["health"]["status"]) == ("vault-transit", "ok")
            assert [key["provider"] for key in status["data_keys"]] == ["vault-transit"]
            installation.end()
        finally:
            installation.close()
