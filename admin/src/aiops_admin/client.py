"""The host's API over HTTP: one connection pool per process, the person's token on every call, no cookies."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec

from aiops_admin import wire, words

TIMEOUT = httpx.Timeout(8.0, connect=3.0)
NOBODY = frozenset({"", "unauthorized"})
UNKNOWN_SHAPE = "The host answers in a way this dashboard does not know. Install the same version of both."
T = TypeVar("T")

log = logging.getLogger(__name__)


class ApiError(Exception):
    """The host's API refuses."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after: int | None = None,
        fields: Mapping[str, str] | None = None,
        code: str = "",
    ) -> None:
        """Take the message, the HTTP status, the wait asked for in seconds, what is wrong per field, and the code."""
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.fields = dict(fields or {})


class NotLoggedIn(ApiError):
    """The token is not, or no longer, that of a session."""


class ApiAway(Exception):
    """The host does not answer, or answers that it cannot work."""


class Api:
    """The host's API."""

    def __init__(self, base_url: str) -> None:
        """Take the host's address; nothing is sent yet."""
        # A jar that takes nothing: a shared client would send one person's cookie with another's call.
        jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        self._http = httpx.AsyncClient(base_url=base_url, cookies=jar, timeout=TIMEOUT, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def live(self) -> None:
        """Return once the host has answered.

        Raises:
            ApiAway: It does not.
        """
        await self._send("GET", "/health/live")

    async def log_in(
        self, email: str, password: str, *, code: str | None = None, sender: Mapping[str, str] | None = None
    ) -> str:
        """Return the token of a new session; ``sender`` are headers that say whose browser asks.

        Raises:
            ApiError: The address, the password, the code or the number of tries is refused.
            ApiAway: The host does not answer.
        """
        wish = {"email": email, "password": password, **({"code": code} if code else {})}
        answer = await self._send("POST", "/api/v1/login", sender=sender, json=wish)
        return msgspec.json.decode(answer, type=wire.Login).token

    async def knock(
        self, path: str, answer: type[T], json: object = None, *, sender: Mapping[str, str] | None = None
    ) -> T:
        """Return the answer to a call below ``/api/v1`` of somebody who is not logged in."""
        body = await self._send("POST", f"/api/v1{path}", sender=sender, json=json)
        return self._decoded(path, body or b"null", answer)

    async def methods(self) -> wire.LoginMethods:
        """Return how people may log in."""
        path = "/api/v1/login/methods"
        return self._decoded(path, await self._send("GET", path), wire.LoginMethods)

    async def log_out(self, token: str) -> None:
        """End the session."""
        await self._send("POST", "/api/v1/logout", token)

    async def me(self, token: str) -> wire.Me:
        """Return who the token belongs to."""
        return await self._get("/api/v1/me", token, wire.Me)

    async def tenants(self, token: str) -> tuple[wire.Tenant, ...]:
        """Return every tenant; for platform administrators."""
        return await self._get("/api/v1/tenants", token, tuple[wire.Tenant, ...])

    async def deliveries(self, token: str, query: Mapping[str, str | int | None]) -> wire.DeliveryPage:
        """Return a page of deliveries, newest first."""
        return await self._get("/api/v1/deliveries", token, wire.DeliveryPage, query)

    async def connections(self, token: str, tenant: str | None) -> tuple[wire.Connection, ...]:
        """Return the tenant's connections."""
        return await self._get("/api/v1/connections", token, tuple[wire.Connection, ...], {"tenant": tenant})

    async def runs(self, token: str, query: Mapping[str, str | int | None]) -> wire.RunPage:
        """Return a page of runs, newest first."""
        return await self._get("/api/v1/runs", token, wire.RunPage, query)

    async def run(self, token: str, run_id: UUID, tenant: str | None) -> wire.RunDetail:
        """Return a run with its steps."""
        return await self._get(f"/api/v1/runs/{run_id}", token, wire.RunDetail, {"tenant": tenant})

    async def delivery(self, token: str, delivery_id: UUID, tenant: str | None) -> wire.DeliveryDetail:
        """Return one delivery with all that came of it."""
        return await self._get(f"/api/v1/deliveries/{delivery_id}", token, wire.DeliveryDetail, {"tenant": tenant})

    async def replay(
        self, token: str, delivery_id: UUID, tenant: str | None, *, dry_run: bool, post_again: bool
    ) -> wire.Delivery:
        """Queue a delivery once more and return it."""
        path, wish = f"/api/v1/deliveries/{delivery_id}/replay", {"dry_run": dry_run, "post_again": post_again}
        answer = await self._send("POST", path, token, json=wish, params={"tenant": tenant} if tenant else {})
        return self._decoded(path, answer, wire.Delivery)

    async def resume(self, token: str, connection_id: UUID, tenant: str | None) -> None:
        """Let a paused connection go on."""
        path = f"/api/v1/connections/{connection_id}/resume"
        await self._send("POST", path, token, params={"tenant": tenant} if tenant else {})

    async def plugins(self, token: str) -> tuple[wire.Plugin, ...]:
        """Return the installed plugins."""
        return await self._get("/api/v1/plugins", token, tuple[wire.Plugin, ...])

    async def health(self, token: str) -> wire.Readiness:
        """Return the state of each part of the host."""
        return await self._get("/api/v1/health", token, wire.Readiness)

    async def figures(self, token: str, tenant: str | None) -> wire.TenantFigures:
        """Return the tenant's figures with their goals."""
        return await self._get("/api/v1/figures", token, wire.TenantFigures, {"tenant": tenant})

    async def installation(self, token: str) -> wire.InstallationFigures:
        """Return the figures of all tenants together; for platform administrators."""
        return await self._get("/api/v1/installation", token, wire.InstallationFigures)

    async def connections_health(self, token: str, tenant: str | None) -> tuple[wire.ConnectionHealth, ...]:
        """Return the tenant's connections with what is in their way."""
        path = "/api/v1/connections/health"
        return await self._get(path, token, tuple[wire.ConnectionHealth, ...], {"tenant": tenant})

    async def call(
        self,
        method: str,
        path: str,
        token: str,
        answer: type[T],
        *,
        query: Mapping[str, str | None] | None = None,
        json: object = None,
    ) -> T:
        """Return the answer to one call below ``/api/v1``; ``None`` where there is nothing to decode."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        more: dict[str, Any] = {} if json is None else {"json": json}
        body = await self._send(method, f"/api/v1{path}", token, params=params, **more)
        return self._decoded(path, body or b"null", answer)

    @asynccontextmanager
    async def download(self, path: str, token: str, tenant: str) -> AsyncIterator[httpx.Response]:
        """Give a file below ``/api/v1`` while it arrives.

        Raises:
            ApiError: It is refused.
            ApiAway: The host does not answer.
        """
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._http.stream("GET", f"/api/v1{path}", headers=headers, params={"tenant": tenant}) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                yield answer
        except httpx.HTTPError as error:
            raise ApiAway(f"{type(error).__name__}: {error}") from None

    async def _get(self, path: str, token: str, answer: type[T], query: Mapping[str, Any] | None = None) -> T:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        return self._decoded(path, await self._send("GET", path, token, params=params), answer)

    def _decoded(self, path: str, body: bytes, answer: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=answer)
        except msgspec.DecodeError as error:
            log.warning("the host answers %s in an unknown shape: %s", path, error)
            raise ApiError(UNKNOWN_SHAPE, status=httpx.codes.BAD_GATEWAY) from None

    async def _send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        *,
        sender: Mapping[str, str] | None = None,
        **request: Any,
    ) -> bytes:
        headers = {**(sender or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            response = await self._http.request(method, path, headers=headers, **request)
        except httpx.HTTPError as error:
            raise ApiAway(f"{type(error).__name__}: {error}") from None
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ApiAway(f"{path} answers {response.status_code}")
        if response.is_success:
            return response.content
        raise _refusal(response)


def _refusal(response: httpx.Response) -> ApiError:
    try:
        problem = msgspec.json.decode(response.content)
        detail, code = str(problem["detail"]), str(problem.get("code", ""))
        fields = {str(e["field"]): str(e["message"]) for e in problem.get("errors", ())}
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        detail, fields, code = f"The host answers {response.status_code}.", {}, ""
    wait = response.headers.get("Retry-After", "")
    # A wrong password is answered 401 too, to somebody who is logged in.
    kind = NotLoggedIn if response.status_code == httpx.codes.UNAUTHORIZED and code in NOBODY else ApiError
    return kind(
        words.refusal_of(fields) or detail,
        status=response.status_code,
        retry_after=int(wait) if wait.isdigit() else None,
        fields=fields,
        code=code,
    )
