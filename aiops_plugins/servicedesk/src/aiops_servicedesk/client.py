"""Calls to the ServiceDesk Plus API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import urlencode

import msgspec

from aiops_core.errors import EffectUnknown, HttpFailed, TicketingUnavailable
from aiops_core.services import HttpResponse, TicketingServices
from aiops_servicedesk.answers import AnswerT, failure_of, is_throttled, read_answer
from aiops_servicedesk.auth import credentials_of
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.limiter import CallLimiter
from aiops_servicedesk.translate import api_base
from aiops_servicedesk.wire import ACCEPT, API, FORM

READ_SECONDS: Final = 20.0
WRITE_SECONDS: Final = 18.0  # all of a write, waiting included; the effect's lease of 30 s keeps 10 s in hand
SHORTEST_SECONDS: Final = 1.0
PATIENCE: Final = 4.0
BACKGROUND_PATIENCE: Final = 600.0

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class _Call:
    """One call; ``effect`` says that repeating it would show, so a lost answer matters."""

    method: Method
    path: str
    params: Mapping[str, str] | None = None
    content: bytes | None = None
    effect: bool = False
    background: bool = False


class ServiceDeskClient:
    """The API of one connection. Every method makes one attempt and raises the errors of the contract."""

    def __init__(self, config: ServiceDeskConfig, services: TicketingServices) -> None:
        """Take the connection's configuration and what the host hands in."""
        self._services = services
        self._base = api_base(config) + API
        self._limiter = CallLimiter(config.calls_per_minute, services.clock)
        self._credentials = credentials_of(config, services)
        self._headers = {"Accept": ACCEPT} | ({"PORTALID": config.portal_id} if config.portal_id else {})

    async def get(
        self,
        path: str,
        answer: type[AnswerT],
        *,
        input_data: Mapping[str, Any] | None = None,
        background: bool = False,
    ) -> AnswerT:
        """Read; ``background`` leaves calls to others and waits its turn for long.

        Raises:
            TicketNotFound, AuthenticationFailed, TicketingUnavailable, TicketingRefused: As the contract says.
        """
        params = {"input_data": _json(input_data)} if input_data is not None else None
        return read_answer(
            await self._send(_Call("GET", path, params=params, background=background)), answer, effect=False
        )

    async def post(self, path: str, answer: type[AnswerT], input_data: Mapping[str, Any]) -> AnswerT:
        """Write; the product takes form-encoded ``input_data`` only.

        Raises:
            EffectUnknown: It may or may not have been applied.
            TicketNotFound, AuthenticationFailed, TicketingUnavailable, TicketingRefused: It was not.
        """
        content = urlencode({"input_data": _json(input_data)}).encode()
        return read_answer(await self._send(_Call("POST", path, content=content, effect=True)), answer, effect=True)

    async def delete(self, path: str) -> None:
        """Delete; doing so again does no harm, so a lost answer is one to try again."""
        await self._send(_Call("DELETE", path))

    async def _send(self, call: _Call) -> HttpResponse:
        end = self._services.clock.monotonic() + WRITE_SECONDS if call.effect else math.inf
        headers, response = await self._attempt(call, end)
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._credentials.renewable(headers):
            _, response = await self._attempt(call, end)
        error = failure_of(response, effect=call.effect, now=self._services.clock.now())
        if not is_throttled(response):
            self._limiter.answered()
        elif isinstance(error, TicketingUnavailable):
            error.retry_after = self._limiter.throttled(error.retry_after)
        if error is not None:
            raise error
        return response

    async def _attempt(self, call: _Call, end: float) -> tuple[dict[str, str], HttpResponse]:
        patience = BACKGROUND_PATIENCE if call.background else PATIENCE
        await self._limiter.acquire(patience=patience, background=call.background)
        proof = await self._credentials.headers()
        headers = self._headers | proof | ({"Content-Type": FORM} if call.content is not None else {})
        timeout = min(READ_SECONDS, end - self._services.clock.monotonic())
        if timeout < SHORTEST_SECONDS:
            raise TicketingUnavailable("ServiceDesk Plus: waiting for a call and a token left no time to write.")
        try:
            response = await self._services.http.request(
                call.method,
                self._base + call.path,
                headers=headers,
                params=call.params,
                content=call.content,
                timeout=timeout,
            )
        except HttpFailed as error:
            if call.effect and error.sent:
                raise EffectUnknown(f"ServiceDesk Plus: {error}") from None
            raise TicketingUnavailable(f"ServiceDesk Plus: {error}") from None
        return proof, response


def _json(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
