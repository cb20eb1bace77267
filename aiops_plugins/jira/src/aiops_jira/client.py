"""Calls to Jira's REST API, and its failures as the core's errors."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec

from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    HttpFailed,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.services import Clock, HttpClient, HttpResponse
from aiops_jira.config import JiraConfig
from aiops_jira.wire import ENGLISH, LOGIN_FAILED, LOGIN_REASON_HEADER, at, time

MAX_REASON = 300


class JiraClient:
    """One site's REST API: paths are relative to ``/rest``, answers are decoded JSON, nothing is retried."""

    def __init__(self, config: JiraConfig, http: HttpClient, clock: Clock) -> None:
        """Take the site's configuration; the HTTP client stays its owner's."""
        self._config = config
        self._http = http
        self._clock = clock
        self._root = f"{config.base_url.rstrip('/')}/rest"
        self.api = "/api/3" if config.edition == "cloud" else "/api/2"

    async def read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Make a GET request.

        Raises:
            TicketNotFound: 404 in Jira's own words.
            AuthenticationFailed: The credentials are refused.
            TicketingUnavailable: No usable answer, whatever the reason.
            TicketingRefused: Refused for good.
        """
        try:
            response = await self._send("GET", path, params=params)
        except HttpFailed as error:
            raise TicketingUnavailable(f"Jira is not reachable: {error}.") from None
        if _undecided(response.status_code):
            raise TicketingUnavailable(_told(response), retry_after=retry_after(response.headers, self._clock.now()))
        self._check(response)
        try:
            return msgspec.json.decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise TicketingUnavailable("Jira's answer is no JSON; check the connection's address.") from None

    async def write(self, method: str, path: str, payload: Any = None) -> Any:
        """Make one writing request; return the decoded answer, ``None`` for an empty one.

        Raises:
            EffectUnknown: It may have been applied.
            TicketNotFound: 404 in Jira's own words; not applied.
            AuthenticationFailed: The credentials are refused; not applied.
            TicketingUnavailable: Not applied; try again.
            TicketingRefused: Refused for good; not applied.
        """
        try:
            response = await self._send(method, path, payload=payload)
        except HttpFailed as error:
            if error.sent:
                raise EffectUnknown(f"Jira took the request and gave no answer: {error}.") from None
            raise TicketingUnavailable(f"Jira is not reachable: {error}.") from None
        if _undecided(response.status_code):
            raise EffectUnknown(_told(response))
        self._check(response)
        try:
            return msgspec.json.decode(response.content) if response.content else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise EffectUnknown("Jira accepted the request with an answer that is no JSON.") from None

    async def _send(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, payload: Any = None
    ) -> HttpResponse:
        headers = {"Accept": "application/json", **ENGLISH, "Authorization": self._authorization()}
        content = None
        if payload is not None:
            content = msgspec.json.encode(payload)
            headers["Content-Type"] = "application/json"
        return await self._http.request(method, self._root + path, headers=headers, params=params, content=content)

    def _authorization(self) -> str:
        if self._config.personal_access_token is not None:
            with self._config.personal_access_token.open() as token:
                return f"Bearer {token}"
        if self._config.api_token is None:
            raise AuthenticationFailed("The connection has no API token.")
        with self._config.api_token.open() as token:
            return "Basic " + base64.b64encode(f"{self._config.email}:{token}".encode()).decode()

    def _check(self, response: HttpResponse) -> None:
        """Raise the error that a decided status stands for; all of them mean: not applied."""
        status = response.status_code
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if status < HTTPStatus.BAD_REQUEST:
            raise AuthenticationFailed(
                f"Jira answers {status}, a redirect; give the connection its final address, without single sign-on."
            )
        # Cloud answers 404 to wrong credentials on some routes and says so only here.
        if status == HTTPStatus.UNAUTHORIZED or response.headers.get(LOGIN_REASON_HEADER, "").startswith(LOGIN_FAILED):
            raise AuthenticationFailed(f"Jira refuses the connection's credentials. {_told(response)}")
        raise self._refusal(response)

    def _refusal(self, response: HttpResponse) -> TicketingError:
        told = _told(response)
        match response.status_code:
            case 429:
                limit = response.headers.get("ratelimit-reason")
                wait = retry_after(response.headers, self._clock.now())
                return TicketingUnavailable(f"{told}{f' ({limit})' if limit else ''}", retry_after=wait)
            case 404 if not _in_jiras_words(response):
                return TicketingUnavailable(
                    "404 from something that is not this API; check the connection's address and edition."
                )
            case 404:
                return TicketNotFound(told)
            case 410:
                return TicketingRefused(f"This Jira has removed the route; check the connection's edition. {told}")
            case _:
                return TicketingRefused(told)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait that the headers ask for, as seconds, an HTTP date or Jira's reset time.

    Args:
        headers: Case-insensitive.
        now: The present, timezone-aware.
    """
    asked = (headers.get("retry-after") or "").strip()
    try:
        seconds = float(asked)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        moment = _date(asked) or time(headers.get("x-ratelimit-reset"))
    return max(0.0, (moment - now).total_seconds()) if moment else None


def _undecided(status: int) -> bool:
    """Return whether the status leaves open if the request was applied."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _decoded(response: HttpResponse) -> Any:
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _in_jiras_words(response: HttpResponse) -> bool:
    """Return whether one of Jira's resources answered, not its router, a proxy or another server."""
    body = _decoded(response)
    return isinstance(body, dict) and bool(body.keys() & {"errorMessages", "errors", "errorMessage"})


def _told(response: HttpResponse) -> str:
    """Return the status with Jira's own words, as one bounded line."""
    body = _decoded(response)
    messages = at(body, "errorMessages")
    errors = at(body, "errors")
    words = [str(m) for m in messages] if isinstance(messages, list) else []
    words += [f"{field}: {text}" for field, text in errors.items()] if isinstance(errors, dict) else []
    words += [text] if isinstance(text := at(body, "errorMessage"), str) else []
    told = " ".join(" ".join(words).split())[:MAX_REASON]
    return f"Jira answered {response.status_code}: {told}" if told else f"Jira answered {response.status_code}."
