"""Credentials of a connection: the technician key, or access tokens from the cloud's accounts server."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlencode

from aiops_core.config import Secret
from aiops_core.errors import AuthenticationFailed, HttpFailed, TicketingUnavailable
from aiops_core.sanitise import clean_text
from aiops_core.services import HttpResponse, TicketingServices
from aiops_servicedesk.answers import retry_after_of
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.wire import ACCOUNTS, FORM, TOKEN_PATH, TOKEN_THROTTLED, TokenAnswer, decode

EARLY_SECONDS: Final = 60.0
TOKEN_TIMEOUT: Final = 10.0
THROTTLED_SECONDS: Final = 60.0


class Credentials(Protocol):
    """What proves us to the API."""

    async def headers(self) -> dict[str, str]:
        """Return the headers of the next call.

        Raises:
            AuthenticationFailed: They cannot be had for good.
            TicketingUnavailable: They cannot be had now.
        """
        ...

    def renewable(self, refused: dict[str, str]) -> bool:
        """Return whether other headers than the refused ones are worth one more call, and forget the refused."""
        ...


def credentials_of(config: ServiceDeskConfig, services: TicketingServices) -> Credentials:
    """Return the credentials of the configured edition."""
    if config.edition == "cloud":
        return AccessTokens(config, services)
    if config.technician_key is None:
        raise ValueError("technician_key is missing")
    return TechnicianKey(config.technician_key)


class TechnicianKey:
    """The API key of a technician, on-premises and MSP."""

    def __init__(self, key: Secret) -> None:
        """Take the handle."""
        self._key = key

    async def headers(self) -> dict[str, str]:
        """Return the key's header."""
        with self._key.open() as key:
            return {"authtoken": key}

    def renewable(self, refused: dict[str, str]) -> bool:
        """Return False: there is one key."""
        return False


class AccessTokens:
    """Access tokens of the cloud, fetched with the refresh token when needed, by one call at a time."""

    def __init__(self, config: ServiceDeskConfig, services: TicketingServices) -> None:
        """Take the configuration of a cloud connection."""
        self._config = config
        self._services = services
        self._url = (config.accounts_url or ACCOUNTS[config.data_centre]).rstrip("/") + TOKEN_PATH
        self._headers: dict[str, str] | None = None
        self._expires = 0.0
        self._fetching = asyncio.Lock()

    async def headers(self) -> dict[str, str]:
        """Return the header with a token that is good for a while."""
        async with self._fetching:
            if self._headers is None or self._services.clock.monotonic() >= self._expires:
                self._headers = await self._fetched()
            return self._headers

    def renewable(self, refused: dict[str, str]) -> bool:
        """Forget the refused token, unless another call has replaced it already."""
        if self._headers == refused:
            self._headers = None
        return True

    async def _fetched(self) -> dict[str, str]:
        try:
            response = await self._services.http.request(
                "POST", self._url, headers={"Content-Type": FORM}, content=self._form(), timeout=TOKEN_TIMEOUT
            )
        except HttpFailed as error:
            raise TicketingUnavailable(f"The accounts server gave no access token: {error}") from None
        answer = _token_answer(response, retry_after_of(response, self._services.clock.now()))
        if not answer.access_token:
            raise _refusal(answer)
        self._expires = self._services.clock.monotonic() + max(answer.expires_in - EARLY_SECONDS, 1.0)
        return {"Authorization": f"Zoho-oauthtoken {answer.access_token}"}

    def _form(self) -> bytes:
        secrets = {"client_secret": self._config.client_secret, "refresh_token": self._config.refresh_token}
        form = {"grant_type": "refresh_token", "client_id": self._config.client_id or ""}
        with ExitStack() as opened:
            form |= {name: opened.enter_context(s.open()) for name, s in secrets.items() if s is not None}
            return urlencode(form).encode()


def _token_answer(response: HttpResponse, wait: float | None) -> TokenAnswer:
    try:
        answer = decode(response.content, TokenAnswer)
    except (ValueError, RecursionError):
        answer = TokenAnswer()
    if answer.access_token or answer.error:
        return answer
    if response.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return TokenAnswer(error=f"HTTP {response.status_code}")
    raise TicketingUnavailable(
        f"The accounts server gave no access token but HTTP {response.status_code}.", retry_after=wait
    )


def _refusal(answer: TokenAnswer) -> AuthenticationFailed | TicketingUnavailable:
    words = clean_text(f"{answer.error} {answer.error_description or ''}")[:200]
    if TOKEN_THROTTLED in words.casefold():
        return TicketingUnavailable(f"The accounts server asks to wait: {words}.", retry_after=THROTTLED_SECONDS)
    return AuthenticationFailed(
        f"The accounts server refuses the refresh token ({words}). Check client_id, client_secret, refresh_token"
        " and data_centre."
    )
