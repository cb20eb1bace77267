"""Vault's HTTP API, its failures as core's errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from aiops_core.errors import HttpFailed, KeyProviderRefused, KeyProviderUnavailable
from aiops_core.services import HttpClient, HttpResponse
from aiops_vault_transit.config import VaultTransitConfig
from aiops_vault_transit.wire import Answer, Errors

AnswerT = TypeVar("AnswerT")
FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY = 429
STANDBY = frozenset({412, 472, 473})
OUR_FAULT = 400
THEIR_FAULT = 500


class NoSuchKey(KeyProviderRefused):
    """Vault has no such Transit key."""


class VaultClient:
    """Asks one Transit engine."""

    def __init__(self, config: VaultTransitConfig, http: HttpClient) -> None:
        """Take the configuration and what carries requests."""
        self._config = config
        self._http = http

    async def read(self, path: str, answer: type[AnswerT]) -> AnswerT:
        """``GET`` a path of the engine.

        Raises:
            KeyProviderUnavailable: No usable answer.
            KeyProviderRefused: Vault refuses; :class:`NoSuchKey` if there is no such key.
        """
        return _read(await self._request("GET", f"{self._config.mount}/{path}"), answer)

    async def write(self, path: str, values: dict[str, Any], answer: type[AnswerT]) -> AnswerT:
        """``POST`` to a path of the engine; the same errors."""
        return _read(await self._request("POST", f"{self._config.mount}/{path}", values), answer)

    async def change(self, path: str, values: dict[str, Any]) -> None:
        """``POST`` to a path whose answer says nothing we need; the same errors."""
        await self._request("POST", f"{self._config.mount}/{path}", values)

    async def delete(self, path: str) -> None:
        """``DELETE`` a path of the engine; the same errors."""
        await self._request("DELETE", f"{self._config.mount}/{path}")

    async def who_am_i(self) -> None:
        """Ask Vault about our token, which every token may; the same errors."""
        await self._request("GET", "auth/token/lookup-self")

    async def _request(self, method: str, path: str, values: dict[str, Any] | None = None) -> HttpResponse:
        headers = {"X-Vault-Request": "true", "X-Vault-Token": self._token()}
        if self._config.namespace:
            headers["X-Vault-Namespace"] = self._config.namespace
        if values is not None:
            headers["Content-Type"] = "application/json"
        content = None if values is None else msgspec.json.encode(values)
        try:
            answer = await self._http.request(
                method, f"{self._config.address}/v1/{path}", headers=headers, content=content
            )
        except HttpFailed as error:
            raise KeyProviderUnavailable(f"Vault does not answer: {error}") from None
        _check(answer)
        return answer

    def _token(self) -> str:
        if self._config.token_file:
            try:
                token = Path(self._config.token_file).read_text().strip()
            except (OSError, UnicodeDecodeError):
                raise KeyProviderUnavailable(
                    f"The token file {self._config.token_file} cannot be read; is Vault Agent running?"
                ) from None
        else:
            assert self._config.token is not None  # noqa: S101 - the configuration has one of the two
            with self._config.token.open() as value:
                token = value
        if not token or not token.isascii() or not token.isprintable():
            raise KeyProviderUnavailable("The token for Vault is empty or not printable.")
        return token


def _check(answer: HttpResponse) -> None:
    status = answer.status_code
    if status < OUR_FAULT:
        return
    said = _said(answer)
    if status >= THEIR_FAULT or status == TOO_MANY or status in STANDBY:
        raise KeyProviderUnavailable(f"Vault cannot answer now (HTTP {status}): {said}")
    if status == FORBIDDEN:
        raise KeyProviderRefused(f"Vault refuses our token: {said}. Renew it, or give its policy the right.")
    if status == NOT_FOUND or "key not found" in said or "no existing key" in said:
        raise NoSuchKey(f"Vault has no such key: {said}")
    raise KeyProviderRefused(f"Vault refuses (HTTP {status}): {said}")


def _said(answer: HttpResponse) -> str:
    try:
        return "; ".join(msgspec.json.decode(answer.content, type=Errors).errors)[:300] or "it does not say why"
    except msgspec.MsgspecError:
        return "it does not say why"


def _read(answer: HttpResponse, kind: type[AnswerT]) -> AnswerT:
    try:
        return msgspec.json.decode(answer.content, type=Answer[kind]).data  # type: ignore[valid-type]
    except msgspec.MsgspecError:
        raise KeyProviderUnavailable("What answers at Vault's address is not Vault.") from None
