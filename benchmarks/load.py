"""Load: signed webhooks like those of the peer's bench, sent by wrk or in step with a clock."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

CONNECTIONS = 32
SENDERS = 20
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}

_SCRIPT = """local reqs, n = {{}}, 0
function init() for line in io.lines("{bodies}") do
  local sig, body = line:match("^(%S+) (.*)$")
  reqs[#reqs + 1] = wrk.format("POST", nil, {{["X-Hub-Signature"] = sig, ["Content-Type"] = "application/json", ["X-Atlassian-Webhook-Identifier"] = "{name}-" .. #reqs}}, body) end end
function request() n = n + 1; return reqs[n] end
{delay}"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What wrk counted: whole answers, all of them 2xx, and how long they took."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float


def body(key: str) -> bytes:
    """Return a webhook of a ticket that was opened, byte for byte as the peer's bench makes it."""
    fields = {"summary": "VPN drops every morning", "description": "x" * 300, "priority": {"name": "High"}}
    issue = {"id": key.partition("-")[2], "key": key, "fields": fields}
    webhook = {"timestamp": int(time.time() * 1e3), "webhookEvent": "jira:issue_created", "issue": issue}
    return json.dumps(webhook, separators=(",", ":")).encode()


def sign(raw: bytes, secret: str) -> str:
    """Return what ``X-Hub-Signature`` carries."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def script(path: Path, secret: str, keys: Sequence[str], *, delay_ms: int = 0) -> Path:
    """Write a script for wrk in which every request is a signed body of its own, and return its path."""
    bodies = path.with_suffix(".txt")
    bodies.write_text("\n".join(f"{sign(raw, secret)} {raw.decode()}" for raw in map(body, keys)))
    delay = f"function delay() return {delay_ms} end" if delay_ms else ""
    path.write_text(_SCRIPT.format(bodies=bodies, name=path.stem, delay=delay))
    return path


def wrk(url: str, lua: Path, seconds: int) -> Answered:
    """Send the script's requests for ``seconds``; every answer must be a 2xx.

    Raises:
        RuntimeError: Something else was answered, or the script ran out of requests.
    """
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(lua), url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out or "Requests/sec" not in out:
        raise RuntimeError(f"wrk met something else than 2xx:\n{out}")
    return Answered(
        requests=int(_found(r"(\d+) requests in", out)),
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", out)),
        p50_ms=milliseconds(_found(r"(?m)^\s+50%\s+(\S+)", out)),
        p99_ms=milliseconds(_found(r"(?m)^\s+99%\s+(\S+)", out)),
    )


def milliseconds(text: str) -> float:
    """Read one of wrk's durations, such as ``850.00us`` or ``1.20s``.

    Raises:
        ValueError: It is none.
    """
    duration = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if duration is None:
        raise ValueError(f"{text!r} is no duration of wrk's")
    return round(float(duration[1]) * _UNITS[duration[2]], 3)


async def send(url: str, secret: str, keys: Sequence[str], *, per_second: float | None = None) -> dict[str, float]:
    """Send one webhook for each key, all over twenty connections as the peer's bench does, or at a steady rate.

    Returns:
        When each was handed to the connection, in seconds since 1970.
    """
    started: dict[str, float] = {}
    begin = time.monotonic()
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=SENDERS)) as http:
        gate = asyncio.Semaphore(SENDERS)

        async def one(number: int, key: str) -> None:
            if per_second:
                await asyncio.sleep(max(0.0, begin + number / per_second - time.monotonic()))
            raw = body(key)
            async with gate:
                started[key] = time.time()
                answer = await http.post(url, content=raw, headers={"X-Hub-Signature": sign(raw, secret)})
                answer.raise_for_status()

        await asyncio.gather(*(one(number, key) for number, key in enumerate(keys)))
    return started


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk's output has no {pattern}:\n{text}")
    return match[1]
