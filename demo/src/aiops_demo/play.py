"""What the demo does once everything runs: open the live tickets, send their webhooks, watch the notes arrive."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from aiops_demo.simulators import simulator_class
from aiops_demo.simulators.base import Proof
from aiops_demo.stage import Say, Stage, Tenant

POLL_SECONDS = 0.1
NOTES_SECONDS = 180.0
FIRST_WAS_OPENED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class TicketOutcome:
    """What is on one live ticket."""

    tenant: str
    ticket: str
    why: str
    notes: int
    internal: bool
    text: str


async def open_tickets(tenant: Tenant, http: httpx.AsyncClient) -> list[str]:
    """Add the tenant's live tickets to its simulator and send each one's webhook; return the ticket ids.

    Raises:
        httpx.HTTPStatusError: A webhook was not accepted.
    """
    player, connection = tenant.player, tenant.connection
    mirror = simulator_class(player.ticketing_tool)(token=tenant.token)
    mirror.load_seed(player.folder / "tickets.csv")
    mirror.url = tenant.simulator_url
    proof = Proof(secret=connection["webhook_secret"], headers=connection["headers"])
    opened = datetime.now(UTC) - FIRST_WAS_OPENED
    ids = []
    for number, live in enumerate(player.live):
        neutral = {**live, "created_at": (opened + timedelta(minutes=number)).isoformat()}
        vendor = mirror.to_vendor(neutral)
        (await http.post(f"{tenant.simulator_url}/_/tickets", json=vendor)).raise_for_status()
        mirror.add_ticket(vendor)
        headers, body = mirror.webhook(mirror.ticket(live["ticket_id"]), "opened", proof=proof)
        (await http.post(connection["webhook_url"], content=body, headers=headers)).raise_for_status()
        ids.append(str(live["ticket_id"]))
    return ids


async def watch_notes(stage: Stage, wanted: int, say: Say, *, started: float) -> float | None:
    """Tell of each note as it arrives, until all are there or it takes too long; return when the first came, in seconds."""
    first: float | None = None
    seen = 0
    end = time.monotonic() + NOTES_SECONDS
    while seen < wanted and time.monotonic() < end:
        for event in _journal(stage.journal)[seen:]:
            seen += 1
            if event["outcome"] == "posted" and first is None:
                first = time.monotonic() - started
            took = event["milliseconds"] / 1000
            say(f"{event['ticketing_tool']} {event['ticket_id']}: {event['outcome']} after {took:.1f} s")
        await asyncio.sleep(POLL_SECONDS)
    return first


async def outcomes(stage: Stage, http: httpx.AsyncClient) -> list[TicketOutcome]:
    """Return what the simulators hold for every live ticket."""
    found = []
    for tenant in stage.tenants:
        posted = (await http.get(f"{tenant.simulator_url}/_/posted")).json()
        for live in tenant.player.live:
            notes = [note for note in posted if note["ticket"] == live["ticket_id"]]
            found.append(
                TicketOutcome(
                    tenant=tenant.player.slug,
                    ticket=live["ticket_id"],
                    why=live["why"],
                    notes=len(notes),
                    internal=bool(notes) and all(note["internal"] for note in notes),
                    text=notes[0]["text"] if notes else "",
                )
            )
    return found


def state_for_programs(stage: Stage) -> dict[str, Any]:
    """Return everything another program needs to drive the running demo."""
    environment = stage.environment
    email, password = stage.state["login"]
    administrator = {"email": email, "password": password, "role": "platform-admin", "tenant": None}
    return {
        "base_url": stage.state["base_url"],
        "admin_url": stage.state["admin_url"],
        "users": [administrator, *(user for tenant in stage.tenants for user in tenant.facts["users"])],
        "tenants": [
            {
                "id": tenant.facts["tenant"]["id"],
                "slug": tenant.player.slug,
                "connections": [_connection(tenant)],
            }
            for tenant in stage.tenants
        ],
        "database_url": environment["AIOPS_DATABASE_URL"],
        "redis_url": environment.get("AIOPS_REDIS_URL"),
        "metrics": stage.state["metrics"],
        "pids": stage.state["pids"],
    }


def _connection(tenant: Tenant) -> dict[str, Any]:
    return {
        "ticketing_tool": tenant.player.ticketing_tool,
        "webhook_url": tenant.connection["webhook_url"],
        "secret": tenant.connection["webhook_secret"],
        "headers": tenant.connection["headers"],
        "simulator_url": tenant.simulator_url,
    }


def _journal(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
