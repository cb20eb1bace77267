"""Logging in through an OpenID Connect provider: code flow with PKCE, for people who are known or invited.

Nothing is kept between the two halves of a login: state, nonce and verifier are made from one secret that the browser
holds in a cookie of its own, so a code that belongs to another browser's login opens nothing here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from urllib.parse import urlencode, urlsplit

import msgspec

from aiops_core.errors import AiopsError, ConfigInvalid
from aiops_host.data import people
from aiops_host.data.audit import PLATFORM
from aiops_host.data.people import Bound, Candidate, Origin
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust import audit
from aiops_host.trust.identity import Claims, IdentityProvider, ProviderRefused, secure
from aiops_host.trust.links import Links
from aiops_host.trust.refused_logins import Why
from aiops_host.trust.sessions import LoggedIn, Sessions

SCOPES = "openid email"
ATTEMPT_BYTES = 32
CALLBACK = "/login/oidc"


class NotInvited(AiopsError):
    """Nobody here has the address your provider vouches for; ask for an invitation to it."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send the browser, and what it has to bring back: keep ``attempt`` in a cookie out of scripts' reach."""

    authorize_url: str
    attempt: str

    def __repr__(self) -> str:
        return "Attempt()"


class Oidc:
    """The way in through one provider."""

    def __init__(self, database: Database, sessions: Sessions, links: Links, provider: IdentityProvider) -> None:
        """Take who opens sessions and accepts invitations, and the provider."""
        self._database = database
        self._sessions = sessions
        self._links = links
        self.provider = provider

    async def begin(self) -> Attempt:
        """Return where to send the browser.

        Raises:
            ProviderAway: The provider does not say where.
        """
        attempt = secrets.token_urlsafe(ATTEMPT_BYTES)
        endpoints = await self.provider.endpoints()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.provider.client_id,
                "redirect_uri": self.provider.redirect_uri,
                "scope": SCOPES,
                "state": _derived(attempt, "state"),
                "nonce": _derived(attempt, "nonce"),
                "code_challenge": challenge(_derived(attempt, "verifier")),
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if urlsplit(endpoints.authorization_endpoint).query else "?"
        return Attempt(authorize_url=f"{endpoints.authorization_endpoint}{joint}{query}", attempt=attempt)

    async def finish(self, attempt: str, state: str, *, code: str, origin: Origin) -> LoggedIn:
        """Open a session for whom the provider vouches for.

        Raises:
            ProviderRefused: The answer is not that to this browser's login, or the provider does not vouch for it.
            ProviderAway: The provider does not answer.
            NotInvited: Nobody has the address, and nobody invited it; or the person is kept out.
        """
        try:
            claims = await self._redeemed(attempt, state, code)
        except ProviderRefused:
            self._sessions.refused.note("oidc", "provider", origin.address)
            raise
        who = await self._person(claims, origin.address)
        return await self._sessions.open(who.user_id, who.email, origin)

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        await self.provider.aclose()

    async def _redeemed(self, attempt: str, state: str, code: str) -> Claims:
        if not hmac.compare_digest(state.encode(), _derived(attempt, "state").encode()):
            raise ProviderRefused("This login was not begun in this browser, or long ago; begin anew.")
        return await self.provider.redeem(
            code, verifier=_derived(attempt, "verifier"), nonce=_derived(attempt, "nonce")
        )

    async def _person(self, claims: Claims, address: str) -> Bound:
        found = await self._bound(claims)
        known = None if found else await people.candidate(self._database, claims.email)
        if found is None and known is None:
            await self._links.accept_proven(claims.email)
            found = await self._bound(claims)
        if found is None:
            self._sessions.refused.note("oidc", _why(known), address, known.email if known else "")
            raise NotInvited
        return found

    async def _bound(self, claims: Claims) -> Bound | None:
        async with self._database.tenant(PLATFORM) as con:
            found = await people.bind_identity(con, self.provider.issuer, claims.subject, claims.email)
            if found is None:
                return None
            if found.fresh:
                actor = audit.person(found.email, found.user_id)
                details = {"issuer": self.provider.issuer}
                await audit.record(
                    con, tenant_id=None, actor=actor, act="person.bind", subject=found.email, details=details
                )
        return found


def make_oidc(settings: Settings, database: Database, sessions: Sessions, links: Links) -> Oidc | None:
    """Return the way in through the provider of the settings, ``None`` where there is none; nothing is asked yet.

    Raises:
        ConfigInvalid: The issuer is no https address, or there is no client id.
    """
    if not settings.oidc_issuer:
        return None
    if not secure(settings.oidc_issuer):
        raise ConfigInvalid("AIOPS_OIDC_ISSUER must be an https:// address; http:// only on this machine.")
    if not settings.oidc_client_id:
        raise ConfigInvalid("Set AIOPS_OIDC_CLIENT_ID to what the provider calls this installation.")
    provider = IdentityProvider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        redirect_uri=settings.dashboard_url + CALLBACK,
    )
    return Oidc(database, sessions, links, provider)


def _why(known: Candidate | None) -> Why:
    """Return why the provider's word lets nobody in."""
    if known is None:
        return "not-invited"
    return "not-theirs" if known.active else "deactivated"


def challenge(verifier: str) -> str:
    """Return the PKCE challenge of a verifier (RFC 7636, S256)."""
    return _text(hashlib.sha256(verifier.encode()).digest())


def _derived(attempt: str, purpose: str) -> str:
    return _text(hmac.digest(attempt.encode(), purpose.encode(), "sha256"))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
