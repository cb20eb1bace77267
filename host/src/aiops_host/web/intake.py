"""``POST /webhooks/{ticketing_tool}/{endpoint_id}``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_202_ACCEPTED

from aiops_core.errors import WebhookRejected
from aiops_core.ticketing import WebhookRequest
from aiops_host.web.access import asks
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import Problem, Refused, documented, unavailable
from aiops_host.web.receiving import IntakeUnavailable

MAX_BODY_BYTES = 1024 * 1024
BODY_SECONDS = 9.0
"""One less than the protocol's own deadline, which closes the connection without an answer."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook is committed. ``delivery_id`` is the first one's when it was sent before."""

    delivery_id: UUID
    status_url: str


@post(
    "/webhooks/{ticketing_tool:str}/{endpoint_id:str}",
    opt=asks("public"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(401, 408, 413, 415, 503),
    summary="Receive a webhook",
    description="The body is whatever the ticketing tool sends, at most 1 MiB. Its sender is proven on the raw bytes.",
    tags=["intake"],
)
async def receive_webhook(
    ticketing_tool: FromPath[str], endpoint_id: FromPath[str], request: Request[Any, Any, Any], parts: WithParts
) -> Receipt:
    """Store one webhook and answer when it is committed."""
    body = await read_body(request, MAX_BODY_BYTES, BODY_SECONDS)
    webhook = WebhookRequest(
        headers=_headers(request.scope["headers"]),
        body=body,
        received_at=datetime.now(UTC),
        query=dict(request.query_params.items()),
    )
    try:
        tenant_id, accepted, due = await parts.receiver.receive(ticketing_tool, endpoint_id, webhook)
    except WebhookRejected:
        raise _rejected() from None
    except IntakeUnavailable as error:
        raise unavailable(str(error), retry_after=60) from None
    if due:
        parts.wakes.announce(tenant_id, accepted.delivery_id)
    url = f"{parts.settings.public_url}/api/v1/deliveries/{accepted.delivery_id}"
    return Receipt(delivery_id=accepted.delivery_id, status_url=url)


async def read_body(request: Request[Any, Any, Any], limit: int, seconds: float) -> bytes:
    """Read an identity-encoded body of at most ``limit`` bytes within ``seconds``."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        _too_large(limit)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(
            Problem(status=415, code="encoded", detail="Send the body as it is, without Content-Encoding."),
            {"Accept-Encoding": "identity"},
        )
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(seconds):
            while more:
                more = await _next_chunk(request, body)
                if len(body) > limit:
                    _too_large(limit)
    except TimeoutError:
        raise Refused(
            Problem(status=408, code="too-slow", detail="The body did not arrive in time."), {"Connection": "close"}
        ) from None
    return bytes(body)


async def _next_chunk(request: Request[Any, Any, Any], body: bytearray) -> bool:
    """Add what arrives next; return whether more may come."""
    event: Any = await request.receive()
    if event["type"] == "http.disconnect":
        raise Refused(Problem(status=400, code="disconnected", detail="The sender left before the body's end."))
    body += event.get("body", b"")
    return bool(event.get("more_body", False))


def _too_large(limit: int) -> NoReturn:
    raise Refused(Problem(status=413, code="too-large", detail=f"A webhook's body has at most {limit} bytes."))


def _rejected() -> Refused:
    """Return the one answer to every webhook without a valid proof, whatever is wrong with it."""
    problem = Problem(status=401, code="sender-not-proven", detail="No valid proof of the sender for this address.")
    return Refused(problem, {"WWW-Authenticate": "Signature"})


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return lower-case names; a header sent twice has its values joined, as HTTP reads them."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
