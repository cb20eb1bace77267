"""Who opens a page: the person the host knows by the token in our cookie, asked on every page and connection."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from bokeh.util.token import get_session_id
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from aiops_admin.client import Api, ApiAway, NotLoggedIn
from aiops_admin.wire import Me

log = logging.getLogger(__name__)

THEME_COOKIE = "aiops_theme"
CACHE_SECONDS = 5.0
MAX_CACHED = 10_000
MAX_TOKEN_LENGTH = 512
# Pages are opened at their own address only: these two would hand a page's token to a script of another origin.
CLOSED_ENDPOINTS = ("/autoload.js", "/metadata")


@dataclass(frozen=True, slots=True)
class Principal:
    """A logged-in person, what their calls carry, and the theme they chose, if any.

    ``xsrf`` belongs into the page's own forms.
    """

    me: Me
    token: str
    xsrf: str
    theme: str

    def __repr__(self) -> str:
        return f"Principal({self.me.email!r})"


class OpenPages:
    """Which session of Bokeh belongs to which token, so that no other person can connect to a page."""

    def __init__(self) -> None:
        """Start with no page."""
        self._pages: dict[str, tuple[bytes, Callable[[], None]]] = {}

    def open(self, session_id: str, token: str, leave: Callable[[], None]) -> None:
        """Remember who opened a page and how to send it away."""
        self._pages[session_id] = (fingerprint(token), leave)

    def close(self, session_id: str) -> None:
        """Forget a page."""
        self._pages.pop(session_id, None)

    def belongs(self, session_id: str, token: str) -> bool:
        """Return whether the page was opened with that token."""
        page = self._pages.get(session_id)
        return page is not None and page[0] == fingerprint(token)

    def send_away(self, token: str) -> None:
        """Load every page anew that was opened with the token: its session has ended, so the login page follows."""
        for owner, leave in list(self._pages.values()):
            if owner == fingerprint(token):
                leave()


class People:
    """Asks the host who a token belongs to, and remembers the answer for seconds."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the host's API."""
        self._api = api
        self._clock = clock
        self._known: dict[bytes, tuple[float, Me]] = {}

    async def find(self, token: str) -> Me | None:
        """Return whose token it is, ``None`` if nobody's.

        Raises:
            ApiAway: The host cannot be asked.
        """
        key = fingerprint(token)
        until, me = self._known.get(key, (0.0, None))
        if me is not None and until > self._clock():
            return me
        self._known.pop(key, None)
        try:
            me = await self._api.me(token)
        except NotLoggedIn:
            return None
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[key] = (self._clock() + CACHE_SECONDS, me)
        return me

    def forget(self, token: str) -> None:
        """Ask anew the next time."""
        self._known.pop(fingerprint(token), None)


class HostAuth(AuthProvider):
    """Lets those in whom the host knows; everybody else is sent to the login page."""

    def __init__(self, people: People, pages: OpenPages, cookie: str, away: Callable[[RequestHandler], None]) -> None:
        """Take who is known, which pages are open, our cookie's name and what answers while the host is away."""
        self._people = people
        self._pages = pages
        self._cookie = cookie
        self._away = away
        super().__init__()

    @property
    def login_url(self) -> str:
        """Where to log in."""
        return "/login"

    @property
    def get_login_url(self) -> None:
        """There is one login page."""
        return

    @property
    def get_user(self) -> None:
        """Asking the host takes a while, so there is no synchronous way."""
        return

    @property
    def get_user_async(self) -> Callable[[Any], Awaitable[Any]]:
        """Called by Bokeh on each page and on each live connection."""
        return self._find

    @property
    def login_handler(self) -> None:
        """Added to the server by the application, with what it needs."""
        return

    @property
    def logout_url(self) -> None:
        """Logging out is a form of our own, not a link."""
        return

    @property
    def logout_handler(self) -> None:
        """Added to the server by the application."""
        return

    async def _find(self, handler: RequestHandler) -> Principal | None:
        token = read_token(handler, self._cookie)
        if not token or handler.request.path.endswith(CLOSED_ENDPOINTS) or _names_a_page(handler):
            return None
        try:
            me = await self._people.find(token)
        except ApiAway as error:
            log.warning("the host does not answer: %s", error)
            if _is_connection(handler):
                raise HTTPError(503, "the host does not answer") from None
            self._away(handler)
            return None
        if me is None or not self._may_connect(handler, token):
            return None
        principal = Principal(me, token, _xsrf(handler), handler.get_cookie(THEME_COOKIE) or "")
        handler.request.principal = principal  # type: ignore[attr-defined]
        return principal

    def _may_connect(self, handler: RequestHandler, token: str) -> bool:
        """Return True for a page; for a live connection, whether this person opened the page it belongs to."""
        if not _is_connection(handler):
            return True
        offered = handler.request.headers.get("Sec-WebSocket-Protocol", "")
        _, _, page_token = offered.partition(",")
        try:
            return self._pages.belongs(get_session_id(page_token.strip()), token)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False


def read_token(handler: RequestHandler, cookie: str) -> str | None:
    """Return the token in our cookie."""
    token = handler.get_cookie(cookie)
    return token if token and len(token) <= MAX_TOKEN_LENGTH and token.isascii() else None


def fingerprint(token: str) -> bytes:
    """Return what is kept of a token in tables."""
    return hashlib.sha256(token.encode()).digest()


def _is_connection(handler: RequestHandler) -> bool:
    return isinstance(handler, WebSocketHandler)


def _names_a_page(handler: RequestHandler) -> bool:
    """Return whether the address asks for a Bokeh session by its id, which only that session's own page needs."""
    named = {"bokeh-session-id", "bokeh-token"} & set(handler.request.arguments)
    return bool(named) or "Bokeh-Session-Id" in handler.request.headers


def _xsrf(handler: RequestHandler) -> str:
    # A live connection has no answer to set a cookie on.
    return "" if _is_connection(handler) else handler.xsrf_token.decode()
