"""A ticketing system and an LLM that speak the peer's stubs' routes, for a run without the peer.

python benchmarks/stand_in.py PORT LLM_MS ITSM_MS
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from typing import Any

import uvicorn
from litestar import Litestar, Request, get, post
from litestar.params import FromPath

NOTE = "Check the VPN client version. " * 20


def application(llm_seconds: float, itsm_seconds: float) -> Litestar:
    """Return the four routes and ``/stats``."""
    seen: Counter[str] = Counter()
    comments: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    @get("/rest/api/3/issue/{key:str}")
    async def issue(key: FromPath[str]) -> dict[str, Any]:
        await asyncio.sleep(itsm_seconds)
        fields = {"summary": "VPN drops every morning", "description": None, "priority": {"name": "High"}}
        return {"id": "1", "key": key, "fields": {**fields, "created": "2026-01-01T00:00:00.000+0000"}}

    @post("/rest/api/3/issue/{key:str}/comment")
    async def comment(key: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, Any]:
        await asyncio.sleep(itsm_seconds)
        seen["comment"] += 1
        made = {"id": str(seen["comment"]), "author": {"accountId": "1"}, **json.loads(await request.body())}
        comments[key].append(made)
        return made

    @get("/rest/api/3/issue/{key:str}/comment")
    async def listed(key: FromPath[str]) -> dict[str, Any]:
        await asyncio.sleep(itsm_seconds)
        return {"comments": comments[key], "total": len(comments[key]), "startAt": 0, "maxResults": 5000}

    @get("/rest/api/3/myself")
    async def myself() -> dict[str, Any]:
        return {"accountId": "1"}

    @post("/v1/chat/completions", status_code=200)
    async def chat() -> dict[str, Any]:
        await asyncio.sleep(llm_seconds)
        message = {"role": "assistant", "content": NOTE}
        usage = {"prompt_tokens": 200, "completion_tokens": 120, "total_tokens": 320}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}

    @get("/stats")
    async def stats() -> dict[str, Any]:
        return {**seen, "max_comments_per_issue": max((len(c) for c in comments.values()), default=0)}

    return Litestar([issue, comment, listed, myself, chat, stats], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    port, llm_ms, itsm_ms = (int(argument) for argument in sys.argv[1:])
    uvicorn.run(application(llm_ms / 1000, itsm_ms / 1000), port=port, log_level="error")
