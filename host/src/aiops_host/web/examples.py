"""Examples of answers for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

RUN: dict[str, Any] = {
    "id": "6c43220d-f01a-4788-aec0-8791ca374e7a",
    "delivery_id": "a3903c51-0ea1-4993-9bae-765faea05cc7",
    "connection": "Service desk",
    "ticketing_tool": "acme",
    "attempt": 1,
    "ticket_id": "OPS-2003",
    "ticket_number": None,
    "ticket_url": "https://tickets.example/OPS-2003",
    "title": "Callers cannot hear us",
    "agent": "enhance",
    "agent_version": "1",
    "dry_run": False,
    "state": "finished",
    "outcome": "posted",
    "error": None,
    "reason": None,
    "note_url": "https://tickets.example/OPS-2003/notes/42",
    "started_at": "2026-11-23T06:29:45.585283Z",
    "finished_at": "2026-11-23T06:29:46.264827Z",
    "model": "offline",
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "cost_usd": None,
    "steps": 1,
}
RUN_PAGE = {"items": [RUN], "next": None}
RUN_DETAIL = {
    "run": RUN,
    "ticket": {"id": "OPS-2003", "title": "Callers cannot hear us", "state": "open", "priority": "high"},
    "draft": {
        "sections": [{"kind": "summary", "claims": [{"text": "Looks like OPS-1877.", "citations": [1]}]}],
        "evidence": [
            {
                "source": "ticket",
                "ref": "OPS-1877",
                "title": "One-way audio",
                "text": "Outside calls are silent one way.",
                "score": 0.044,
                "time": "2026-02-27T16:55:17Z",
                "url": "https://tickets.example/OPS-1877",
                "resolution": "Turned SIP ALG off.",
            }
        ],
    },
    "enhancement": {
        "body": [
            {"type": "heading", "text": "AI Ops: first findings", "level": 1},
            {"type": "paragraph", "text": "Looks like OPS-1877. [1]"},
        ]
    },
    "steps": [
        {
            "number": 1,
            "name": "gather",
            "started_at": "2026-11-23T06:29:45.632318Z",
            "milliseconds": 397.4,
            "inputs": {"ticket": "OPS-2003"},
            "outputs": {"tools": [{"tool": "similar_tickets", "summary": "20 similar tickets."}]},
            "error": None,
            "model": None,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "cost_usd": None,
        }
    ],
}
SUCCESS = {
    "name": "success-rate",
    "value": 0.98,
    "unit": "share",
    "rule": "at-least",
    "goal": 0.95,
    "met": True,
    "detail": "49 of 50 notes asked for are on their tickets.",
}
QUEUE = {
    "name": "queue-depth",
    "value": 3,
    "unit": "deliveries",
    "rule": "below",
    "goal": 100,
    "met": True,
    "detail": "The oldest is 4 seconds old.",
}
POOL = {
    "name": "pool-use",
    "value": 0.15,
    "unit": "share",
    "rule": "below",
    "goal": 0.8,
    "met": True,
    "detail": "The host uses 1 of its 20 connections to PostgreSQL, the busiest worker 3 of 20.",
}
TENANT_FIGURES = {"tenant": "harbor", "hours": 24, "needs_attention": 1, "figures": [SUCCESS, QUEUE]}
INSTALLATION_FIGURES = {
    "hours": 24,
    "figures": [SUCCESS, QUEUE, POOL],
    "workers": [
        {
            "name": "ops-1:4711",
            "started_at": "2026-11-23T06:00:00Z",
            "seen_at": "2026-11-23T06:30:02Z",
            "alive": True,
            "slots": 8,
            "running": 2,
            "pool_in_use": 3,
            "pool_size": 20,
        }
    ],
    "tenants": [
        {
            "slug": "harbor",
            "name": "Harbor IT",
            "state": "active",
            "ended": 50,
            "posted": 49,
            "slowest_seconds": 8.2,
            "waiting": 3,
            "oldest_seconds": 4.0,
            "needs_attention": 1,
        }
    ],
}
CONNECTIONS_HEALTH = [
    {
        "id": "f000c955-564c-4676-a944-d15354c253da",
        "name": "Service desk",
        "ticketing_tool": "acme",
        "status": "paused",
        "reason": "Acme answered 401: the API token is not valid any more.",
        "wait_until": None,
        "last_webhook_at": "2026-11-23T06:29:44Z",
        "last_note_at": None,
        "waiting": 3,
        "given_up": 0,
    }
]
PLUGINS = [
    {
        "name": "acme",
        "distribution": "aiops-acme",
        "version": "0.1.0",
        "status": "loaded",
        "error": None,
        "contributes": ["ticketing tool acme"],
    }
]
READINESS = {
    "status": "ready",
    "parts": [{"name": "postgresql", "status": "ok", "detail": "1 of 20 connections in use."}],
}


def shown(answer: Any, value: Any) -> dict[int, ResponseSpec]:
    """Return the entry of a route's 200: what it answers, with an example."""
    example = Example(id="example", summary="An example", value=value)
    return {
        200: ResponseSpec(
            data_container=answer,
            generate_examples=False,
            description="Request fulfilled, document follows",
            examples=[example],
        )
    }
