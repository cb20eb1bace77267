"""Past tickets read from a ticketing tool by a worker, part after part: away, slow, stopped, and of one moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Aiops
from tests.integration.cli.test_mending import stored
from tests.support.databases import DatabaseUrls
from tests.support.threads import in_thread
from tests.support.waiting import wait_for

from aiops_demo.simulators.base import Answer, Call
from aiops_demo.simulators.jira import JiraSimulator
from aiops_demo.simulators.serving import running
from aiops_host.cli import tickets
from aiops_host.cli.installation import free_port
from aiops_host.cli.main import main
from aiops_host.data import probes
from aiops_host.work import history_import
from aiops_host.work.probing import LEASE, PROBE_SECONDS

TOKEN = "token-of-the-test"
ACCOUNT = "aiops@msp.example"
TICKETS = 120
"""More than a page of a search."""
HANG_SECONDS = 3.0
ODD_BATCH = 30
"""A page of 100 ends within a batch."""
IMPORT = ("tickets", "import", "--tenant", "acme", "--since", "2026-11-01")


class Faltering(JiraSimulator):
    """A Jira whose second and later searches fail until ``failures`` are used up."""

    failures = 0
    searches = 0
    asks_to_wait = False
    interrupts_at = 0
    hangs_at = 0

    async def answer(self, call: Call) -> Answer:
        """Answer one call."""
        self.searches += "/search" in call.path
        if self.interrupts_at and self.searches == self.interrupts_at:
            self.interrupts_at = 0
            os.kill(os.getpid(), signal.SIGINT)
        if self.hangs_at and self.searches == self.hangs_at:
            self.hangs_at = 0
            await asyncio.sleep(HANG_SECONDS)
        if self.searches > 1 and self.failures:
            self.failures -= 1
            return self.failure(429, retry_after=1) if self.asks_to_wait else self.failure(503)
        return await super().answer(call)


@pytest.fixture
def jira() -> Iterator[Faltering]:
    """A Jira with resolved tickets."""
    simulator = Faltering(token=TOKEN, account=ACCOUNT)
    for number in range(1, TICKETS + 1):
        add(simulator, number, "2026-11-20T10:00:00+00:00")
    with in_thread(running(simulator)):
        yield simulator


@pytest.fixture
def steady() -> Iterator[Faltering]:
    """A Jira with as many tickets, one resolved each minute."""
    simulator = Faltering(token=TOKEN, account=ACCOUNT)
    for number in range(1, TICKETS + 1):
        add(simulator, number, (datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=number)).isoformat())
    with in_thread(running(simulator)):
        yield simulator


def add(jira: JiraSimulator, number: int, resolved_at: str) -> None:
    """Put a ticket resolved at that moment into the simulator."""
    times = {"created_at": "2026-11-19T09:00:00+00:00", "resolved_at": resolved_at}
    neutral = {"ticket_id": f"OPS-{number}", "title": f"Trouble {number}", "description": "", **times}
    jira.add_ticket(jira.to_vendor({**neutral, "resolution": "Fixed"}))


def connected(aiops: Aiops, folder: Path, base_url: str) -> dict[str, Any]:
    """Create the tenant acme with a connection to ``base_url``."""
    aiops("tenants", "create", "acme")
    file = folder / "jira.json"
    file.write_text(json.dumps({"base_url": base_url, "email": ACCOUNT, "api_token": TOKEN}))
    command = ("connections", "create", "--tenant", "acme", "--name", "desk", "--tool", "jira", "--config", file)
    made: dict[str, Any] = aiops(*command, "--json")
    return made


@pytest.mark.usefixtures("worker")
def test_a_tool_that_cannot_be_reached_ends_the_import_at_once(aiops: Aiops, tmp_path: Path) -> None:
    """One sentence with the address and what to check, and no waiting: the address is more likely wrong than away."""
    address = f"http://127.0.0.1:{free_port()}"
    made = connected(aiops, tmp_path, address)

    error = aiops("tickets", "import", "--tenant", "acme", code=1)

    assert error.count("\n") == 1
    assert f"Nothing was read through the connection 'desk' to {address}: Jira is not reachable" in error
    assert f"aiops connections test {made['connection_id']} --tenant acme" in error
    assert "Going on in" not in error


@pytest.mark.usefixtures("worker")
def test_the_other_connections_are_read_when_one_is_out_of_reach(
    aiops: Aiops, tmp_path: Path, jira: Faltering, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are read that can be; at the end it is said which could not, with exit code 1."""
    connected(aiops, tmp_path, f"http://127.0.0.1:{free_port()}")
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"base_url": jira.url, "email": ACCOUNT, "api_token": TOKEN}))
    aiops("connections", "create", "--tenant", "acme", "--name", "other", "--tool", "jira", "--config", file)
    assert main([*IMPORT, "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["added"] == TICKETS
    assert "The connection 'desk' was not read to its end: Nothing was read through" in printed.err
    assert "'other'" not in printed.err


@pytest.mark.usefixtures("worker")
def test_a_tool_that_goes_away_meanwhile_is_waited_for(aiops: Aiops, tmp_path: Path, jira: Faltering) -> None:
    """What was read is kept, the wait is told, and the import goes on where it stopped."""
    connected(aiops, tmp_path, jira.url)
    jira.failures = 1

    counted = aiops("tickets", "import", "--tenant", "acme", "--since", "2026-11-01", "--json")

    assert jira.failures == 0
    assert counted["added"] == TICKETS


@pytest.mark.usefixtures("worker")
def test_a_request_to_wait_is_obeyed_from_the_start(aiops: Aiops, tmp_path: Path, jira: Faltering) -> None:
    """A ticketing tool that answers 429 is there: the import waits as long as it asks."""
    connected(aiops, tmp_path, jira.url)
    jira.failures, jira.searches, jira.asks_to_wait = 1, 1, True

    assert aiops("tickets", "import", "--tenant", "acme", "--since", "2026-11-01", "--json")["added"] == TICKETS


@pytest.mark.usefixtures("worker")
def test_the_credential_opens_in_the_worker(
    aiops: Aiops, tmp_path: Path, jira: Faltering, database: DatabaseUrls
) -> None:
    """No other process opens a secret for an import; that an operator began it stays in the trail."""
    connected(aiops, tmp_path, jira.url)
    assert aiops(*IMPORT, "--json")["added"] == TICKETS
    opened = "select string_agg(distinct actor, ', ') from audit_entry where act = 'secret.decrypt'"
    wait_for(lambda: stored(database, opened), "the decryption to be in the trail")
    assert stored(database, opened) == "worker"
    begun = "select count(*) from audit_entry where act = 'tickets.import' and actor_kind = 'operator'"
    assert stored(database, begun) == 1


def test_without_a_worker_nothing_begins(aiops: Aiops, tmp_path: Path, jira: Faltering, database: DatabaseUrls) -> None:
    """One sentence says what to start; nothing is asked for, noted or read."""
    connected(aiops, tmp_path, jira.url)
    assert aiops(*IMPORT, code=1) == (
        "aiops tickets: No worker is running, and credentials open in a worker only: "
        "start `aiops worker`, or all parts by `aiops up`.\n"
    )
    for nothing in ("probe", "history_import", "past_ticket", "audit_entry where act = 'tickets.import'"):
        assert stored(database, f"select count(*) from {nothing}") == 0  # noqa: S608 - constants
    assert jira.searches == 0


@pytest.mark.usefixtures("worker")
def test_a_suspended_tenants_tickets_are_not_read(aiops: Aiops, tmp_path: Path, jira: Faltering) -> None:
    """No worker works for it, so nobody waits."""
    connected(aiops, tmp_path, jira.url)
    aiops("tenants", "suspend", "acme")
    assert "is suspended, so no worker works for it; resume it first" in aiops(*IMPORT, code=1)


@pytest.mark.usefixtures("worker")
def test_parts_follow_one_another(
    aiops: Aiops,
    tmp_path: Path,
    steady: Faltering,
    database: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each part reads on from the moment the one before reached, no ticket twice, and tells how far it came."""
    monkeypatch.setattr(history_import, "MOST_TICKETS", 50)
    connected(aiops, tmp_path, steady.url)
    assert main(IMPORT) == 0
    printed = capsys.readouterr()
    assert printed.out == f"tickets: {TICKETS} added, 0 changed, 0 as they were\n"
    assert printed.err.splitlines() == [
        "  50 tickets up to 2026-11-20 00:51",
        "  50 tickets up to 2026-11-20 01:41",
        "  20 tickets up to 2026-11-20 02:00",
    ]
    assert stored(database, "select count(*) from probe where kind = 'history-import' and state = 'ok'") == 3
    assert stored(database, "select tickets from history_import where finished_at is not null") == TICKETS


@pytest.mark.usefixtures("worker")
def test_a_part_passes_the_moment_it_began_at(
    aiops: Aiops, tmp_path: Path, jira: Faltering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tickets of one moment than a part holds are read in one, even where an import goes on at that moment."""
    monkeypatch.setattr(history_import, "MOST_TICKETS", 10)
    add(jira, TICKETS + 1, "2026-11-20T10:05:00+00:00")
    connected(aiops, tmp_path, jira.url)
    command = ("tickets", "import", "--tenant", "acme", "--since", "2026-11-20T10:00:00+00:00", "--json")
    assert aiops(*command) == {"added": TICKETS + 1, "changed": 0, "unchanged": 0}


@pytest.mark.usefixtures("worker")
def test_an_import_that_comes_no_further_ends(
    aiops: Aiops, tmp_path: Path, jira: Faltering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that time ends before it passed a moment is repeated a few times, then a sentence says why."""
    monkeypatch.setattr(history_import, "END_SECONDS", 0)
    connected(aiops, tmp_path, jira.url)
    error = aiops(*IMPORT, code=1)
    assert error.startswith(
        "aiops tickets: Reading through the connection 'desk' comes no further than 2026-11-01 00:00:00 UTC: "
    )
    assert error.count("\n") == 1


@pytest.mark.usefixtures("worker")
def test_what_a_slow_part_read_is_kept(
    aiops: Aiops, tmp_path: Path, steady: Faltering, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ticketing tool that lets a part wait for its second page costs that part its time, and nothing that was read."""
    monkeypatch.setattr(history_import, "BATCH", ODD_BATCH)
    monkeypatch.setattr(history_import, "END_SECONDS", 1)
    steady.hangs_at = 2
    connected(aiops, tmp_path, steady.url)
    assert aiops(*IMPORT, "--json")["added"] == TICKETS
    first = "select result::json -> 'count' ->> 'added' from probe order by asked_at limit 1"
    assert stored(database, first) == "100"
    assert stored(database, "select count(*) from probe") == 2


@pytest.mark.usefixtures("worker")
def test_requests_to_wait_are_obeyed_up_to_a_number(
    aiops: Aiops, tmp_path: Path, jira: Faltering, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each wait is told with its seconds; after the last the import ends with what the ticketing tool said."""
    monkeypatch.setattr(tickets, "MOST_WAITS", 2)
    connected(aiops, tmp_path, jira.url)
    jira.failures, jira.searches, jira.asks_to_wait = 3, 1, True
    assert main(IMPORT) == 1
    *waited, last = capsys.readouterr().err.splitlines()
    assert [line.partition(" Going on in ")[2] for line in waited] == ["1 s.", "1 s."]
    assert "Jira" in last
    assert "Going on in" not in last
    assert jira.failures == 0


@pytest.mark.usefixtures("worker")
def test_what_the_tool_refuses_is_said(aiops: Aiops, tmp_path: Path, jira: Faltering) -> None:
    """Refused credentials end the import with the sentence for them."""
    jira.token = "another"
    connected(aiops, tmp_path, jira.url)
    error = aiops(*IMPORT, code=1)
    assert error.count("\n") == 1
    assert "refuses the connection's credentials" in error


@pytest.mark.usefixtures("worker")
def test_a_second_run_goes_on_where_the_first_stopped(
    aiops: Aiops, tmp_path: Path, steady: Faltering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the ticketing tool went away is not read again, but for the last moment."""
    monkeypatch.setattr(history_import, "BATCH", ODD_BATCH)
    connected(aiops, tmp_path, steady.url)
    steady.failures = 1
    with monkeypatch.context() as impatient:
        impatient.setattr(tickets, "MOST_WAITS", 0)
        aiops(*IMPORT, code=1)
    assert steady.failures == 0
    assert aiops(*IMPORT, "--json") == {"added": TICKETS - 100, "changed": 0, "unchanged": 1}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as a terminal sends it: a shell starts what runs in its background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("worker", "interruptible")
def test_an_interrupt_leaves_nothing_waiting(
    aiops: Aiops, tmp_path: Path, steady: Faltering, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a part takes that part back, keeps the parts before it, and the next run has the rest."""
    monkeypatch.setattr(history_import, "MOST_TICKETS", 50)
    connected(aiops, tmp_path, steady.url)
    steady.interrupts_at = 2
    assert main(IMPORT) == 130
    assert stored(database, f"select count(*) from probe where state = any('{{{','.join(probes.OPEN)}}}')") == 0  # noqa: S608
    assert stored(database, "select count(*) from past_ticket") >= 50
    counted = aiops(*IMPORT, "--json")
    assert counted["added"] < TICKETS
    assert stored(database, "select count(*) from past_ticket") == TICKETS


def test_a_part_outlives_a_worker() -> None:
    """The command waits until the lease of a worker that died has ended and another had its minute."""
    assert LEASE.total_seconds() + PROBE_SECONDS < tickets.PART_SECONDS
