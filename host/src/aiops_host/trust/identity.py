"""An OpenID Connect provider: what it says about itself, and whom it vouches for."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from aiops_core.errors import AiopsError

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures by a key pair only: with any other, what everybody knows would sign."""
TIMEOUT_SECONDS = 10.0
LARGEST_ANSWER = 256 * 1024
KEPT_SECONDS = 3600.0
ASKED_AGAIN_SECONDS = 60.0
LEEWAY_SECONDS = 60
T = TypeVar("T")


class ProviderAway(AiopsError):
    """The login provider cannot be used just now; try again, or log in with a password."""


class ProviderRefused(AiopsError):
    """The login provider does not vouch for you."""


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider says about itself, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom the provider vouches for: its own name for them, and an address it has verified."""

    subject: str
    email: str


class _Tokens(msgspec.Struct, frozen=True, kw_only=True):
    id_token: str
    access_token: str = ""


@dataclass(kw_only=True)
class IdentityProvider:
    """One provider. Nothing is asked before somebody logs in."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    _http: httpx.AsyncClient = field(init=False, repr=False)
    _endpoints: tuple[float, Endpoints] | None = field(default=None, init=False, repr=False)
    _keys: tuple[float, Any] | None = field(default=None, init=False, repr=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        """Open no connection yet."""
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)

    async def endpoints(self) -> Endpoints:
        """Return what the provider says about itself; asked once an hour.

        Raises:
            ProviderAway: It does not answer, says it is another, or names an address that is not https.
        """
        async with self._turn:
            if self._endpoints and time.monotonic() < self._endpoints[0] + KEPT_SECONDS:
                return self._endpoints[1]
            url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await self._ask("GET", url, Endpoints)
            if found.issuer != self.issuer:
                raise _away(f"{url} is about the issuer {found.issuer!r}; set AIOPS_OIDC_ISSUER to that if it is meant")
            used = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
            if not all(secure(one) for one in used if one is not None):
                raise _away(f"{url} names an address that is not https")
            self._endpoints = (time.monotonic(), found)
            return found

    async def redeem(self, code: str, *, verifier: str, nonce: str) -> Claims:
        """Return whom a code stands for.

        Raises:
            ProviderRefused: The code, the token it is redeemed for, or the address is not good.
            ProviderAway: The provider does not answer.
        """
        endpoints = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
            "client_id": self.client_id,
        }
        headers = {}
        if self.client_secret and "client_secret_basic" in endpoints.token_endpoint_auth_methods_supported:
            pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif self.client_secret:
            form["client_secret"] = self.client_secret
        tokens = await self._ask("POST", endpoints.token_endpoint, _Tokens, data=form, headers=headers)
        claims = await self._verified(tokens.id_token, endpoints, nonce)
        if "email" not in claims and endpoints.userinfo_endpoint and tokens.access_token:
            bearer = {"Authorization": f"Bearer {tokens.access_token}"}
            more = await self._ask("GET", endpoints.userinfo_endpoint, dict[str, Any], headers=bearer)
            if more.get("sub") != claims["sub"]:
                raise ProviderRefused("The provider answers about somebody else than the one who logged in.")
            claims = {**more, **claims}
        return _vouched(claims)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _verified(self, id_token: str, endpoints: Endpoints, nonce: str) -> dict[str, Any]:
        from joserfc import jwt  # noqa: PLC0415 - for logins through a provider, not for every start
        from joserfc.errors import InvalidKeyIdError, JoseError  # noqa: PLC0415

        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": endpoints.issuer},
            aud={"essential": True, "value": self.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            try:
                token = jwt.decode(id_token, await self._key_set(endpoints), algorithms=ALGORITHMS)
            except InvalidKeyIdError:
                token = jwt.decode(id_token, await self._key_set(endpoints, again=True), algorithms=ALGORITHMS)
            registry.validate(token.claims)
        except (JoseError, ValueError) as error:
            log.warning("an ID token of %s is refused: %s", self.issuer, error)
            raise ProviderRefused("The provider's token cannot be relied upon; begin anew.") from None
        claims: dict[str, Any] = token.claims
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client_id) != self.client_id:
            log.warning("an ID token of %s is refused: it was made for another client", self.issuer)
            raise ProviderRefused("The provider's token cannot be relied upon; begin anew.")
        return claims

    async def _key_set(self, endpoints: Endpoints, *, again: bool = False) -> Any:
        """Return the provider's keys; asked once an hour, or when a token names one that is not among them."""
        from joserfc.errors import JoseError  # noqa: PLC0415 - as above
        from joserfc.jwk import KeySet  # noqa: PLC0415

        async with self._turn:
            age = time.monotonic() - self._keys[0] if self._keys else KEPT_SECONDS
            if self._keys and age < (ASKED_AGAIN_SECONDS if again else KEPT_SECONDS):
                return self._keys[1]
            found = await self._ask("GET", endpoints.jwks_uri, dict[str, Any])
            try:
                keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
            except (JoseError, KeyError, TypeError, ValueError) as error:
                raise _away(f"{endpoints.jwks_uri} holds no keys: {error}") from None
            self._keys = (time.monotonic(), keys)
            return keys

    async def _ask(self, method: str, url: str, answer: type[T], **request: Any) -> T:
        try:
            async with self._http.stream(method, url, **request) as response:
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise _away(f"{url} answers more than {LARGEST_ANSWER} bytes")
        except httpx.HTTPError as error:
            raise _away(f"{url}: {type(error).__name__} {error}") from None
        if response.status_code in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED):
            log.warning("the login provider refuses at %s: %d", url, response.status_code)
            raise ProviderRefused("The provider does not take this login any more; begin anew.")
        if response.status_code != httpx.codes.OK:
            raise _away(f"{url} answers {response.status_code}")
        try:
            return msgspec.json.decode(body, type=answer)
        except msgspec.DecodeError as error:
            raise _away(f"{url} answers in an unknown shape: {error}") from None


def secure(url: str) -> bool:
    """Return whether an address is https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def _vouched(claims: dict[str, Any]) -> Claims:
    subject, email = claims["sub"], claims.get("email")
    if not isinstance(subject, str) or not subject:
        raise ProviderRefused("The provider does not say who you are.")
    if not isinstance(email, str) or "@" not in email or claims.get("email_verified") is not True:
        raise ProviderRefused("The provider does not vouch for your address: it has not verified it.")
    return Claims(subject, email)


def _away(why: str) -> ProviderAway:
    log.warning("the login provider cannot be used: %s", why)
    return ProviderAway()
