"""Examples of answers about people and their tokens for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

USER = "8b0a5c6e-2a39-4d0e-9a53-6a7a2f8f9a10"
LINK = {
    "mailed": False,
    "url": "https://desk.example/invitation?token=Zk3v…",
    "expires_at": "2026-11-30T06:30:00Z",
    "problem": "The mail server mail.example:587 cannot be used: timed out",
}
SESSIONS = [
    {
        "id": "5c1f5b0e-6a3e-4a5a-8f5e-0d6f1f4f3a11",
        "method": "password",
        "address": "203.0.113.9",
        "agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/146.0",
        "created_at": "2026-11-23T06:00:00Z",
        "last_seen_at": "2026-11-23T06:29:44Z",
        "expires_at": "2026-11-23T18:00:00Z",
        "current": True,
    }
]
TOKENS = {
    "items": [
        {
            "id": "e0a4b7a6-4a39-4a8e-8a49-0f2d3c4b5a6f",
            "owner": "anna@harbor.example",
            "tenant": "harbor",
            "name": "nightly report",
            "hint": "aiops_pat_Zk3v",
            "role": "read-only",
            "permissions": ["runs.read", "figures.read"],
            "created_at": "2026-11-23T06:00:00Z",
            "expires_at": "2027-02-21T06:00:00Z",
            "last_used_at": None,
        }
    ],
    "next": None,
}
TOKEN = {
    "id": "e0a4b7a6-4a39-4a8e-8a49-0f2d3c4b5a6f",
    "token": "aiops_pat_Zk3v… shown this once",
    "name": "nightly report",
    "tenant": "harbor",
    "role": "read-only",
    "permissions": ["runs.read", "figures.read"],
    "expires_at": "2027-02-21T06:00:00Z",
}
MEMBERS = {
    "items": [
        {
            "user_id": USER,
            "email": "anna@harbor.example",
            "role": "tenant-admin",
            "active": True,
            "second_factor": True,
            "since": "2026-11-01T08:00:00Z",
        }
    ],
    "next": None,
}
INVITED = {
    "invitation": {
        "id": "0f7b9a52-5b61-4a7c-8b5e-63e0b2f0c3d4",
        "email": "ben@harbor.example",
        "role": "technician",
        "invited_by": "anna@harbor.example",
        "created_at": "2026-11-23T06:30:00Z",
        "expires_at": "2026-11-30T06:30:00Z",
    },
    "link": LINK,
}
PEOPLE = {
    "items": [
        {
            "user_id": USER,
            "email": "anna@harbor.example",
            "platform_admin": False,
            "active": True,
            "second_factor": True,
            "locked": False,
            "tenants": ["harbor"],
            "last_seen_at": "2026-11-23T06:29:44Z",
            "created_at": "2026-11-01T08:00:00Z",
        }
    ],
    "next": None,
}


def made(answer: Any, value: Any) -> ResponseSpec:
    """Return what a route answers with 201, with an example."""
    example = Example(id="example", summary="An example", value=value)
    return ResponseSpec(
        data_container=answer,
        generate_examples=False,
        description="Document created, URL follows",
        examples=[example],
    )
