"""Runs as the API lists and shows them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from tests.integration.web.conftest import Door, Staff
from tests.support.postbox import webhook_body

from aiops_core import Enhancement, Paragraph
from aiops_host.data.figures import ConnectionHealth
from aiops_host.data.runs import RunDetail, RunPage
from aiops_host.data.session import Database
from aiops_host.web import examples
from aiops_host.web.goals import InstallationFigures, TenantFigures
from aiops_host.web.health import Readiness
from aiops_host.web.installation import PluginView

STARTED = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


async def delivered(door: Door, ticket: str) -> UUID:
    """Send a webhook and return its delivery's id."""
    answer = await door.post(webhook_body(ticket))
    return UUID(answer.json()["delivery_id"])


async def add_run(opened: Database, door: Door, ticket: str, *, minute: int = 0, **more: Any) -> str:
    """Store a run as the worker does; ``effect`` is the state of its note, ``columns`` more of the run."""
    tenant_id, run_id, delivery_id = door.tenant.tenant_id, uuid4(), await delivered(door, f"{ticket}-{uuid4()}")
    began = STARTED + timedelta(minutes=minute)
    run = {
        "tenant_id": tenant_id,
        "run_id": run_id,
        "delivery_id": delivery_id,
        "attempt": 1,
        "connection_id": door.connection.connection_id,
        "ticket_id": ticket,
        "agent": "enhance",
        "agent_version": "1",
        "state": "finished",
        "started_at": began,
        "finished_at": began + timedelta(seconds=2),
        **more.get("columns", {}),
    }
    step = {
        "tenant_id": tenant_id,
        "run_id": run_id,
        "number": 1,
        "name": "gather",
        "started_at": began,
        "milliseconds": 12.5,
        "inputs": {"q": "printer"},
        "outputs": {"found": 3},
        "cost_usd": 0,
    }
    async with opened.tenant(tenant_id) as con:
        await insert(con, "run", run)
        await insert(con, "step", step)
        if "effect" in more:
            effect = {
                "tenant_id": tenant_id,
                "effect_id": uuid4(),
                "connection_id": door.connection.connection_id,
                "ticket_id": ticket,
                "logical_key": str(delivery_id),
                "delivery_id": delivery_id,
                "run_id": run_id,
                "reference": uuid4().hex,
                "body": msgspec.json.encode(Enhancement(body=(Paragraph("A note."),))),
                "body_hash": b"",
                "state": more["effect"],
                "reason": more.get("reason"),
                "remote_url": "https://tool.example/note/1",
            }
            await insert(con, "effect", effect)
    return str(run_id)


async def insert(con: Any, table: str, row: dict[str, Any]) -> None:
    """Insert one row."""
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await con.execute(f"insert into {table} ({', '.join(row)}) values ({places})", *row.values())  # noqa: S608 - names written here


async def test_runs_are_listed_newest_first_page_by_page(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Pages follow each other without a gap or a repeat while new runs are stored."""
    made = [await add_run(opened, door, f"T-{n}", minute=n) for n in range(5)]
    seen: list[str] = []
    cursor = ""
    for page_number in range(3):
        page = (await http.get(f"/api/v1/runs?limit=2{cursor}", headers=staff.reader_a)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next']}"
        await add_run(opened, door, "late", minute=60 + page_number)
    assert seen == made[::-1]
    assert page["next"] is None


async def test_a_run_names_its_ticket_connection_and_use(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """A row of the list has what a technician looks for, and links to the ticket and the note."""
    ticket = {"id": "T-1", "number": "4711", "title": "VPN drops", "url": "https://tool.example/T-1"}
    used = {"model": "m", "prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0, "ticket": ticket}
    run = await add_run(opened, door, "T-1", effect="confirmed", columns=used)
    (item,) = (await http.get("/api/v1/runs", headers=staff.reader_a)).json()["items"]
    assert item["id"] == run
    assert (item["connection"], item["ticketing_tool"], item["title"]) == ("front door", "postbox", "VPN drops")
    assert (item["ticket_number"], item["ticket_url"]) == ("4711", "https://tool.example/T-1")
    assert item["note_url"] == "https://tool.example/note/1"
    assert (item["model"], item["prompt_tokens"], item["completion_tokens"], item["cost_usd"]) == ("m", 10, 5, 0.0)
    assert (item["outcome"], item["reason"], item["steps"]) == ("posted", None, 1)


@pytest.mark.parametrize(
    ("stored", "outcome", "reason"),
    [
        ({"effect": "confirmed"}, "posted", None),
        ({"effect": "planned"}, "posting", None),
        ({"effect": "sending"}, "posting", None),
        ({"effect": "unknown", "reason": "no answer in time"}, "checking", "no answer in time"),
        ({"effect": "parked", "reason": "cannot be read"}, "parked", "cannot be read"),
        ({"effect": "dead", "reason": "The ticket is closed."}, "refused", "The ticket is closed."),
        ({}, "kept", None),
        ({"columns": {"dry_run": True}}, "dry-run", None),
        ({"columns": {"state": "failed", "error": "No model answered."}}, "failed", "No model answered."),
    ],
)
async def test_the_outcome_says_what_became_of_the_note(
    http: httpx.AsyncClient,
    staff: Staff,
    door: Door,
    opened: Database,
    *,
    stored: dict[str, Any],
    outcome: str,
    reason: str,
) -> None:
    """Each state of run and note has one outcome with its reason, and the filter finds exactly it."""
    run = await add_run(opened, door, "T-1", **stored)
    other = {"effect": "confirmed"} if outcome != "posted" else {"effect": "dead"}
    await add_run(opened, door, "T-2", minute=1, **other)
    found = (await http.get(f"/api/v1/runs?outcome={outcome}", headers=staff.reader_a)).json()["items"]
    assert [(item["id"], item["outcome"], item["reason"]) for item in found] == [(run, outcome, reason)]


async def test_runs_are_filtered_by_ticket_and_connection(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """A ticket is found by its id and by the number people read; what cannot be a filter is a bad request."""
    numbered = await add_run(opened, door, "T-1", columns={"ticket": {"id": "T-1", "number": "4711"}})
    other = await add_run(opened, door, "T-2", minute=1)

    async def found(query: str) -> list[str]:
        answer = await http.get(f"/api/v1/runs?{query}", headers=staff.reader_a)
        return [item["id"] for item in answer.json()["items"]]

    assert await found("ticket=T-1") == await found("ticket=4711") == [numbered]
    assert await found(f"connection={door.connection.connection_id}") == [other, numbered]
    assert await found("connection=front%20door&ticket=T-2") == [other]
    assert await found("connection=other") == []
    for query in ("outcome=exploded", "limit=0", "limit=201", "cursor=x", "ticket=%00"):
        answer = await http.get(f"/api/v1/runs?{query}", headers=staff.reader_a)
        assert answer.status_code == 400, query
    assert "outcome" in (await http.get("/api/v1/runs?outcome=exploded", headers=staff.reader_a)).text


async def test_a_run_is_shown_with_draft_note_and_steps(
    http: httpx.AsyncClient, staff: Staff, door: Door, opened: Database
) -> None:
    """Evidence with score, time and link, the note's blocks, and each step with what went in and came out."""
    evidence = [
        {"source": "ticket", "ref": "T-0", "title": "VPN", "text": "x", "score": 0.5, "url": "https://x.example"}
    ]
    columns = {
        "draft": {"sections": [], "evidence": evidence},
        "enhancement": {"body": [{"type": "paragraph", "text": "Restart it."}]},
    }
    run = await add_run(opened, door, "T-1", columns=columns)
    shown = (await http.get(f"/api/v1/runs/{run}", headers=staff.reader_a)).json()
    assert shown["run"]["id"] == run
    assert shown["draft"]["evidence"] == evidence
    assert shown["enhancement"]["body"] == [{"type": "paragraph", "text": "Restart it."}]
    (step,) = shown["steps"]
    assert (step["name"], step["milliseconds"], step["inputs"], step["outputs"]) == (
        "gather",
        12.5,
        {"q": "printer"},
        {"found": 3},
    )


async def test_another_tenants_runs_are_not_listed(
    http: httpx.AsyncClient, staff: Staff, doors: tuple[Door, Door], opened: Database
) -> None:
    """A tenant's list holds its own runs only, and another tenant's name is as unknown as no tenant's."""
    run = await add_run(opened, doors[0], "T-1")
    assert (await http.get("/api/v1/runs", headers=staff.admin_b)).json() == {"items": [], "next": None}
    assert run in (await http.get("/api/v1/runs", headers=staff.admin_a)).text
    theirs = await http.get("/api/v1/runs?tenant=tenant-a", headers=staff.admin_b)
    nobodys = await http.get("/api/v1/runs?tenant=tenant-x", headers=staff.admin_b)
    assert (theirs.status_code, theirs.content) == (404, nobodys.content)


@pytest.mark.parametrize(
    ("path", "kind", "example"),
    [
        ("/api/v1/runs", RunPage, examples.RUN_PAGE),
        ("/api/v1/runs/{run_id}", RunDetail, examples.RUN_DETAIL),
        ("/api/v1/figures", TenantFigures, examples.TENANT_FIGURES),
        ("/api/v1/installation", InstallationFigures, examples.INSTALLATION_FIGURES),
        ("/api/v1/connections/health", list[ConnectionHealth], examples.CONNECTIONS_HEALTH),
        ("/api/v1/plugins", list[PluginView], examples.PLUGINS),
        ("/api/v1/health", Readiness, examples.READINESS),
    ],
)
async def test_examples_are_answers_that_could_be(
    http: httpx.AsyncClient, *, path: str, kind: Any, example: Any
) -> None:
    """Each example has exactly the fields and types of what its route answers, and stands in the document."""
    assert msgspec.to_builtins(msgspec.convert(example, kind)) == example
    document = (await http.get("/openapi.json")).json()
    media = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    assert json.dumps(media["examples"]["example"]["value"]) == json.dumps(without_none(example))


def without_none(value: Any) -> Any:
    """Return the value as the document writes it, which leaves out what is null."""
    if isinstance(value, dict):
        return {key: without_none(held) for key, held in value.items() if held is not None}
    return [without_none(held) for held in value] if isinstance(value, list) else value
