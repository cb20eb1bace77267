"""Logging in through the provider: away with a secret in a cookie, and back with a code."""

from __future__ import annotations

import logging
from urllib.parse import quote, unquote

import msgspec

from aiops_admin.client import ApiAway, ApiError
from aiops_admin.login import HOME, DoorPage, answer_away, safe_next
from aiops_admin.wire import Login

log = logging.getLogger(__name__)

COOKIE = "aiops_dashboard_provider"
COOKIE_SECONDS = 600
FOLDER = "/login"


class _Attempt(msgspec.Struct, frozen=True, kw_only=True):
    authorize_url: str
    attempt: str


class AwayHandler(DoorPage):
    """``/login/provider``: begins a login and sends the browser to the provider."""

    async def get(self) -> None:
        """Keep what the browser has to bring back, and send it away."""
        try:
            begun = await self.parts.api.knock("/login/oidc", _Attempt, sender=self.sender())
        except ApiError as error:
            self._refuse(str(error))
            return
        except ApiAway as error:
            log.warning("a login through the provider cannot begin: %s", error)
            answer_away(self)
            return
        wanted = safe_next(self.get_query_argument("next", HOME))
        self.set_cookie(
            COOKIE,
            f"{begun.attempt}.{quote(wanted, safe='')}",
            path=FOLDER,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=self.parts.settings.cookie_secure,
        )
        self.redirect(begun.authorize_url)

    def _refuse(self, why: str) -> None:
        self.show("message.html", 404, title="No login through a provider", text=why, refresh=0)


class BackHandler(DoorPage):
    """``/login/oidc``: where the provider sends the browser back to."""

    async def get(self) -> None:
        """Open the session of whom the provider vouches for."""
        attempt, _, wanted = (self.get_cookie(COOKIE) or "").partition(".")
        self.clear_cookie(COOKIE, path=FOLDER)
        code, state = self.get_query_argument("code", ""), self.get_query_argument("state", "")
        if not attempt or not code or not state:
            self._refuse("The provider did not log you in, or it took too long. Please try again.")
            return
        try:
            answer = {"attempt": attempt, "state": state, "code": code}
            session = await self.parts.api.knock("/login/oidc/finish", Login, answer, sender=self.sender())
        except ApiError as error:
            self._refuse(str(error))
            return
        except ApiAway as error:
            log.warning("a login through the provider cannot end: %s", error)
            answer_away(self)
            return
        await self.enter(session.token, unquote(wanted))

    def _refuse(self, why: str) -> None:
        self.show("message.html", 401, title="You are not logged in", text=why, refresh=0)
