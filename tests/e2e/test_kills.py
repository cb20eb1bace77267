"""Parts that die or are stopped in the middle of their work."""

import os
import signal

import pytest
from tests.support.api import Api
from tests.support.desk import Desk
from tests.support.installation import Installation
from tests.support.waiting import wait_for

READ = {"method": "GET", "path": r"(issue|requests)/[^/]+$"}


@pytest.fixture
def api(quick: Installation) -> Api:
    """The quick installation's API."""
    assert quick.api
    return quick.api


def test_a_worker_killed_in_a_run(quick: Installation, north: Desk, api: Api) -> None:
    """A worker killed while its run waits for an answer is replaced, and the ticket gets its one note all the same."""
    north.behave(delay_ms=100_000, match=READ)
    ticket_id, delivery_id = north.deliver(north.ticket("Worker dies in the middle"))
    api.await_state("north", delivery_id, "running")
    worker = quick.pid("worker")
    os.kill(worker, signal.SIGKILL)
    north.behave()
    quick.await_restart("worker", worker)
    ended = api.await_end("north", delivery_id)
    assert ended["delivery"]["state"] == "done"
    assert [attempt["outcome"] for attempt in ended["attempts"]] == ["crashed", "planned"]
    assert [f":{worker}:" in attempt["worker"] for attempt in ended["attempts"]] == [True, False]
    assert len(north.notes(ticket_id)) == 1


def test_a_stopped_worker_finishes_what_it_works_on(quick: Installation, south: Desk, api: Api) -> None:
    """SIGTERM lets a running delivery end: the same worker posts its note in the same attempt."""
    south.behave(delay_ms=1_500, times=1, match=READ)
    ticket_id, delivery_id = south.deliver(south.ticket("Worker is stopped in the middle"))
    api.await_state("south", delivery_id, "running")
    worker = quick.pid("worker")
    os.kill(worker, signal.SIGTERM)
    ended = api.await_end("south", delivery_id)
    quick.await_restart("worker", worker)
    assert [attempt["outcome"] for attempt in ended["attempts"]] == ["planned"]
    assert f":{worker}:" in ended["attempts"][0]["worker"]
    assert len(south.notes(ticket_id)) == 1


def test_a_killed_host_comes_back(quick: Installation, north: Desk, api: Api) -> None:
    """A host that dies is started again at its address, its sessions still hold, and webhooks are taken."""
    host = quick.pid("host")
    os.kill(host, signal.SIGKILL)
    quick.await_restart("host", host)
    ticket_id, delivery_id = north.deliver(north.ticket("Host was killed"))
    assert api.await_end("north", delivery_id)["delivery"]["state"] == "done"
    assert len(north.notes(ticket_id)) == 1


def test_a_killed_database_backend(quick: Installation, south: Desk, api: Api) -> None:
    """A backend killed by the system makes PostgreSQL recover; host and worker go on afterwards."""
    backends = [p for p in quick.program.family() if "postgres: aiops_app" in p.command]
    os.kill(backends[0].pid, signal.SIGKILL)
    wait_for(lambda: not backends[0].is_alive(), "the end of the backend")
    wait_for(lambda: api.ready().status_code == 200, "the host to be ready", logs=quick.logs)
    ticket_id = south.add(south.ticket("Database recovered"))
    headers, body = south.webhook(ticket_id)
    answer = wait_for(
        lambda: found if (found := south.send(headers, body)).status_code == 202 else None, "an accepted webhook"
    )
    assert api.await_end("south", answer.json()["delivery_id"])["delivery"]["state"] == "done"
    assert len(south.notes(ticket_id)) == 1
