"""The figures an installation is judged by, as the API answers them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.integration.web.conftest import Door, Staff
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser
from tests.support.postbox import webhook_body

from aiops_host.data import probes, workers
from aiops_host.data.connections import PROBE
from aiops_host.data.session import Database
from aiops_host.data.workers import Beat


async def delivered(opened: Database, door: Door, **columns: Any) -> UUID:
    """Send a webhook and set columns of its delivery."""
    answer = await door.post(webhook_body(f"T-{uuid4()}"))
    delivery_id = UUID(answer.json()["delivery_id"])
    changes = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
    if columns:
        async with opened.tenant(door.tenant.tenant_id) as con:
            statement = f"update delivery set {changes} where delivery_id = $1"  # noqa: S608 - names written here
            await con.execute(statement, delivery_id, *columns.values())
    return delivery_id


async def confirmed(opened: Database, door: Door, seconds: float, **columns: Any) -> None:
    """Store a delivery whose note was confirmed so many seconds after its webhook."""
    received = datetime.now(UTC) - timedelta(hours=1)
    delivery_id = await delivered(opened, door, state="done", received_at=received, **columns)
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute(
            "insert into effect (tenant_id, effect_id, connection_id, ticket_id, logical_key, delivery_id, run_id, "
            "reference, body, body_hash, state, confirmed_at) "
            "values ($1, $2, $3, 'T', $4, $5, $2, $4, '', '', 'confirmed', $6)",
            door.tenant.tenant_id,
            uuid4(),
            door.connection.connection_id,
            uuid4().hex,
            delivery_id,
            received + timedelta(seconds=seconds),
        )


async def alive(opened: Database, name: str = "w:1", *, in_use: int = 3) -> None:
    """Let a worker say that it lives."""
    async with opened.role("sweeper") as con:
        await workers.beat(con, Beat(name=name, slots=8, running=2, pool_in_use=in_use, pool_size=20))


def by_name(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """Return the figures of an answer."""
    assert answer.status_code == 200, answer.text
    return {figure["name"]: figure for figure in answer.json()["figures"]}


async def figures_of(http: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return a tenant's figures."""
    return by_name(await http.get("/api/v1/figures", headers=headers))


async def test_a_fresh_tenant_has_nothing_to_judge(http: httpx.AsyncClient, staff: Staff, door: Door) -> None:
    """Without a note there is neither success nor latency; without a worker the goal of one is missed and told."""
    found = await figures_of(http, staff.reader_a)
    assert set(found) == {"success-rate", "latency-p95", "queue-depth", "active-workers"}
    assert (found["success-rate"]["value"], found["success-rate"]["met"]) == (None, None)
    assert (found["latency-p95"]["value"], found["latency-p95"]["met"]) == (None, None)
    assert (found["queue-depth"]["value"], found["queue-depth"]["met"]) == (0, True)
    assert (found["active-workers"]["value"], found["active-workers"]["met"]) == (0, False)
    assert "aiops worker" in found["active-workers"]["detail"]


async def test_the_success_rate_counts_notes_on_tickets(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """What ended with its note counts for it, what was given up against it; the rest does not count."""
    for state in ("done", "done", "done", "dead"):
        await delivered(opened, door, state=state)
    await delivered(opened, door, state="queued")
    await delivered(opened, door, state="ignored", action="none")
    await delivered(opened, door, state="dead", received_at=datetime.now(UTC) - timedelta(hours=25))
    answer = await http.get("/api/v1/figures", headers=staff.reader_a)
    figure = by_name(answer)["success-rate"]
    assert (figure["value"], figure["goal"], figure["met"]) == (0.75, 0.95, False)
    assert "3 of 4" in figure["detail"]
    assert answer.json()["needs_attention"] == 1


@pytest.mark.parametrize(("state", "counts"), [("dead", 1), ("parked", 1), ("quarantined", 1), ("running", 0)])
async def test_what_a_person_should_look_at_is_counted(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database, *, state: str, counts: int
) -> None:
    """Given up, parked and quarantined deliveries need a person, and count against the success rate."""
    await delivered(opened, door, state=state)
    answer = await http.get("/api/v1/figures", headers=staff.reader_a)
    assert answer.json()["needs_attention"] == counts
    assert by_name(answer)["success-rate"]["value"] == (0 if counts else None)


async def test_latency_runs_from_webhook_to_note(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """The 95th percentile is of confirmed notes; a person's replay of an old webhook is not slow."""
    for seconds in range(1, 21):
        await confirmed(opened, door, seconds)
    await confirmed(opened, door, 3000, trigger="manual")
    figure = (await figures_of(http, staff.reader_a))["latency-p95"]
    assert figure["value"] == pytest.approx(19.05)
    assert figure["detail"] == "At this pace 95 of 100 notes are on their tickets within this time."
    assert figure["met"] is True
    for _ in range(5):
        await confirmed(opened, door, 500)
    assert (await figures_of(http, staff.reader_a))["latency-p95"]["met"] is False


async def test_the_queue_is_what_is_not_finished(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Waiting, running and posting deliveries count, with the age of the oldest; ended ones do not."""
    await delivered(opened, door, state="queued", received_at=datetime.now(UTC) - timedelta(minutes=5))
    await delivered(opened, door, state="running")
    await delivered(opened, door, state="posting")
    await delivered(opened, door, state="done")
    figure = (await figures_of(http, staff.reader_a))["queue-depth"]
    assert (figure["value"], figure["met"]) == (3, True)
    assert "5 minutes" in figure["detail"]


async def test_a_worker_counts_while_it_says_that_it_lives(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database, database: DatabaseUrls
) -> None:
    """A sign of life counts for half a minute, is listed as silent afterwards, and forgotten after ten minutes."""
    await alive(opened, "w:1")
    await alive(opened, "w:2")
    assert (await figures_of(http, staff.reader_a))["active-workers"]["value"] == 2

    async def silent_for(seconds: int) -> None:
        await execute_as_superuser(
            database.superuser,
            f"update worker set seen_at = now() - interval '{seconds} seconds' where name = 'w:2'",  # noqa: S608 - a number
        )

    await silent_for(40)
    assert (await figures_of(http, staff.reader_a))["active-workers"]["value"] == 1
    listed = (await http.get("/api/v1/installation", headers=staff.platform)).json()["workers"]
    assert [(w["name"], w["alive"]) for w in listed] == [("w:1", True), ("w:2", False)]
    await silent_for(700)
    listed = (await http.get("/api/v1/installation", headers=staff.platform)).json()["workers"]
    assert [w["name"] for w in listed] == ["w:1"]


async def test_no_worker_works_for_a_suspended_tenant(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Its figure says that work waits because the tenant is suspended."""
    await alive(opened)
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update tenant set state = 'suspended'")
    figure = (await figures_of(http, staff.reader_a))["active-workers"]
    assert (figure["value"], figure["met"]) == (0, False)
    assert "suspended" in figure["detail"]


async def test_a_tenant_sees_its_own_figures_only(
    http: httpx.AsyncClient, staff: Staff, doors: tuple[Door, Door], opened: Database
) -> None:
    """Another tenant's queue, failures and latency change nothing, and cannot be asked for."""
    before = await figures_of(http, staff.admin_b)
    await delivered(opened, doors[0], state="dead")
    await delivered(opened, doors[0], state="queued")
    await confirmed(opened, doors[0], 900)
    assert await figures_of(http, staff.admin_b) == before
    theirs = await http.get("/api/v1/figures?tenant=tenant-a", headers=staff.admin_b)
    nobodys = await http.get("/api/v1/figures?tenant=tenant-x", headers=staff.admin_b)
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)


async def test_the_installation_is_for_its_operator(http: httpx.AsyncClient, staff: Staff) -> None:
    """Tenants' people are refused, whatever their role."""
    for headers in (staff.admin_a, staff.technician_a, staff.reader_a):
        answer = await http.get("/api/v1/installation", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["detail"] == "Only platform administrators have the permission installation.read."
    assert (await http.get("/api/v1/installation", headers=staff.platform)).status_code == 200


async def test_the_installation_adds_its_tenants_up(
    http: httpx.AsyncClient, staff: Staff, doors: tuple[Door, Door], opened: Database
) -> None:
    """Counts are sums, latency is the slowest tenant's, pool use the fullest process's, and each tenant has a line."""
    await alive(opened, in_use=17)
    await confirmed(opened, doors[0], 10)
    await confirmed(opened, doors[1], 200)
    await delivered(opened, doors[0], state="dead")
    await delivered(opened, doors[1], state="queued")
    answer = await http.get("/api/v1/installation", headers=staff.platform)
    found = by_name(answer)
    assert found["success-rate"]["value"] == pytest.approx(2 / 3)
    assert (found["latency-p95"]["value"], found["latency-p95"]["met"]) == (200, False)
    assert found["queue-depth"]["value"] == 1
    assert found["active-workers"]["value"] == 1
    assert (found["pool-use"]["value"], found["pool-use"]["met"]) == (0.85, False)
    assert "17 of 20" in found["pool-use"]["detail"]
    lines = [(t["slug"], t["ended"], t["posted"], t["waiting"]) for t in answer.json()["tenants"]]
    assert lines == [("tenant-a", 2, 1, 0), ("tenant-b", 1, 1, 1)]


async def health_of(http: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, Any]:
    """Return the health of a tenant's only connection."""
    (found,) = (await http.get("/api/v1/connections/health", headers=headers)).json()
    return dict(found)


async def test_a_connection_that_works_says_so(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Its last webhook and note are told, and how much waits."""
    await confirmed(opened, door, 10)
    await delivered(opened, door, state="queued")
    found = await health_of(http, staff.reader_a)
    assert (found["name"], found["ticketing_tool"], found["status"]) == ("front door", "postbox", "ok")
    assert (found["reason"], found["waiting"], found["given_up"]) == (None, 1, 0)
    assert found["last_webhook_at"] is not None
    assert found["last_note_at"] is not None


@pytest.mark.parametrize("call", ["account", "import", "note", "run"])
async def test_a_connection_works_once_a_call_succeeded(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database, *, call: str
) -> None:
    """A webhook alone, waiting or ignored, proves nothing; an answer, an import, a note or a finished run does."""
    await delivered(opened, door, state="queued")
    await delivered(opened, door, state="ignored", action="none")
    assert (await health_of(http, staff.reader_a))["status"] == "untried"
    async with opened.tenant(door.tenant.tenant_id) as con:
        if call == "account":
            await con.execute("update connection set account_id = 'bot'")
        if call == "import":
            await con.execute(
                "insert into history_import (tenant_id, connection_id, since, reached, tickets) "
                "values ($1, $2, now(), now(), 1)",
                door.tenant.tenant_id,
                door.connection.connection_id,
            )
    if call == "note":
        await confirmed(opened, door, 10, action="none")
    if call == "run":
        await delivered(opened, door, state="done")
    assert (await health_of(http, staff.reader_a))["status"] == "ok"


async def test_a_connection_says_why_it_is_paused_or_waits(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Paused comes before waiting, waiting before working, each with its reason or its end."""
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set wait_until = now() + interval '1 hour'")
    waiting = await health_of(http, staff.reader_a)
    assert (waiting["status"], waiting["wait_until"] is not None) == ("waiting", True)
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set state = 'paused', state_reason = '401: the token is not valid'")
    paused = await health_of(http, staff.reader_a)
    assert (paused["status"], paused["reason"]) == ("paused", "401: the token is not valid")


@pytest.mark.parametrize("account", [None, "bot"])
async def test_a_connection_whose_test_failed_says_what_it_said(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database, *, account: str | None
) -> None:
    """A refused test is no "not tried yet", and no "works" either; later work that ends well or another test ends that."""
    where = (door.tenant.tenant_id, str(door.connection.connection_id))

    async def tested(state: str, result: str) -> None:
        async with opened.tenant(door.tenant.tenant_id) as con:
            probe_id = await probes.ask(con, where[0], PROBE, where[1])
            await con.execute(
                "update probe set state = $2, result = $3, finished_at = clock_timestamp() where probe_id = $1",
                *(probe_id, state, result),
            )

    async def shown() -> tuple[str, str | None]:
        found = await health_of(http, staff.reader_a)
        return found["status"], found["reason"]

    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute("update connection set account_id = $1", account)
    await tested("failed", "401: the token is not valid")
    assert await shown() == ("failing", "401: the token is not valid")
    await tested("ok", "Connected as bot.")
    assert await shown() == ("ok", None)
    await tested("failed", "It did not answer.")
    assert await shown() == ("failing", "It did not answer.")
    await delivered(opened, door, state="done", finished_at=datetime.now(UTC) + timedelta(seconds=5))
    assert await shown() == ("ok", None)


async def test_a_connection_fails_while_its_work_does(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """A try that is repeated or was given up makes it failing with that reason; the next success ends that."""
    now = datetime.now(UTC)
    retried = await delivered(opened, door, state="queued", tries=1, reason="It answered 503.")
    found = await health_of(http, staff.reader_a)
    assert (found["status"], found["reason"], found["waiting"]) == ("failing", "It answered 503.", 1)
    async with opened.tenant(door.tenant.tenant_id) as con:
        await con.execute(
            "update delivery set state = 'dead', reason = 'Gave up.', finished_at = $2 where delivery_id = $1",
            retried,
            now - timedelta(minutes=5),
        )
    found = await health_of(http, staff.reader_a)
    assert (found["status"], found["reason"], found["given_up"]) == ("failing", "Gave up.", 1)
    await delivered(opened, door, state="done", finished_at=now)
    assert (await health_of(http, staff.reader_a))["status"] == "ok"


async def test_another_tenants_connections_are_not_told(
    http: httpx.AsyncClient, staff: Staff, two_tenants: TwoTenants, doors: tuple[Door, Door]
) -> None:
    """Each tenant is answered its own connection."""
    own = [str(door.connection.connection_id) for door in doors]
    assert (await health_of(http, staff.admin_a))["id"] == own[0]
    assert (await health_of(http, staff.admin_b))["id"] == own[1]
