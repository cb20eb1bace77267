"""``POST /webhooks/{ticketing_tool}/{endpoint_id}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.params import FromPath
from litestar.status_codes import HTTP_202_ACCEPTED
from litestar.types import ASGIApp, Receive, Scope, Send

from aiops_core.errors import WebhookRejected
from aiops_core.ticketing import WebhookRequest
from aiops_host.web.access import asks
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import Problem, Refused, answer_to, documented, unavailable
from aiops_host.web.receiving import IntakeUnavailable

MAX_BODY_BYTES = 1024 * 1024
WEBHOOKS = "/webhooks/"
PATH_PARTS = 2
_JSON = (b"content-type", b"application/json")


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook is committed. ``delivery_id`` is the first one's when it was sent before."""

    delivery_id: UUID
    status_url: str


@post(
    "/webhooks/{ticketing_tool:str}/{endpoint_id:str}",
    opt=asks("public"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(401, 408, 413, 415, 503, limited=False),
    summary="Receive a webhook",
    description="The body is whatever the ticketing tool sends, at most 1 MiB. Its sender is proven on the raw bytes.",
    tags=["intake"],
)
async def receive_webhook(
    ticketing_tool: FromPath[str], endpoint_id: FromPath[str], request: Request[Any, Any, Any], parts: WithParts
) -> Receipt:
    """Store one webhook and answer when it is committed."""
    return await _receipt(parts, ticketing_tool, endpoint_id, request.scope, request.receive)


class WebhookDoor:
    """Answers webhooks before the framework: its routing, guards and responses took twice the time of the rest.

    Whatever else comes to the address, such as another method, is the application's to answer.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        """Take the application around which it stands."""
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == ScopeType.HTTP and scope["method"] == "POST" and scope["path"].startswith(WEBHOOKS):
            path = scope["path"][len(WEBHOOKS) :].split("/")
            if len(path) == PATH_PARTS and all(path):
                await self._answer(path[0], path[1], scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, ticketing_tool: str, endpoint_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            receipt = await _receipt(self._parts, ticketing_tool, endpoint_id, scope, receive)
        except Exception as error:  # isolation: every failure has its answer, as behind the framework's routes
            await answer_to(error)(scope, receive, send)
            return
        body = msgspec.json.encode(receipt)
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": HTTP_202_ACCEPTED, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _receipt(parts: Parts, ticketing_tool: str, endpoint_id: str, scope: Scope, receive: Receive) -> Receipt:
    headers = _headers(scope["headers"])
    webhook = WebhookRequest(
        headers=headers,
        body=await read_body(headers, receive, MAX_BODY_BYTES),
        received_at=datetime.now(UTC),
        query=_query(scope["query_string"]),
    )
    try:
        tenant_id, accepted, due = await parts.receiver.receive(
            ticketing_tool, endpoint_id, webhook, lambda: parts.peers.address_of(ASGIConnection(scope))
        )
    except WebhookRejected:
        raise _rejected() from None
    except IntakeUnavailable as error:
        raise unavailable(str(error), retry_after=60) from None
    if due:
        parts.wakes.announce(tenant_id, accepted.delivery_id)
    url = f"{parts.settings.public_url}/api/v1/deliveries/{accepted.delivery_id}"
    return Receipt(delivery_id=accepted.delivery_id, status_url=url)


async def read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    """Read an identity-encoded body of at most ``limit`` bytes; how long it may take is the protocol's to say."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        _too_large(limit)
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(
            Problem(status=415, code="encoded", detail="Send the body as it is, without Content-Encoding."),
            {"Accept-Encoding": "identity"},
        )
    body, more = await _next_chunk(receive)
    while len(body) <= limit and more:
        chunk, more = await _next_chunk(receive)
        body += chunk
    if len(body) > limit:
        _too_large(limit)
    return body


async def _next_chunk(receive: Receive) -> tuple[bytes, bool]:
    """Return what arrives next, and whether more may come."""
    event: Any = await receive()
    if event["type"] == "http.disconnect":
        raise Refused(Problem(status=400, code="disconnected", detail="The sender left before the body's end."))
    return event.get("body", b""), bool(event.get("more_body", False))


def _too_large(limit: int) -> NoReturn:
    raise Refused(Problem(status=413, code="too-large", detail=f"A webhook's body has at most {limit} bytes."))


def _rejected() -> Refused:
    """Return the one answer to every webhook without a valid proof, whatever is wrong with it."""
    problem = Problem(status=401, code="sender-not-proven", detail="No valid proof of the sender for this address.")
    return Refused(problem, {"WWW-Authenticate": "Signature"})


def _query(raw: bytes) -> dict[str, str]:
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True)) if raw else {}


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return lower-case names; a header sent twice has its values joined, as HTTP reads them."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
