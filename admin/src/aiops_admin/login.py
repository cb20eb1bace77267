"""Logging in and out: the only pages that work without a session."""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import Any

from tornado.template import Loader
from tornado.web import RequestHandler

from aiops_admin.auth import THEME_COOKIE, read_token
from aiops_admin.client import ApiAway, ApiError
from aiops_admin.parts import Parts
from aiops_admin.wire import LoginMethods

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parent / "assets"
TEMPLATES = Loader(str(ASSETS))
HOME = "/deliveries"
WAIT_SECONDS = 5

REFUSED = (
    "Email or password is not right. After five wrong tries an account is locked for a while: "
    "wait a minute before you try again, or ask your administrator for a new password."
)
AWAY = "AI Ops is not answering just now. Your password was not checked; please try again in a moment."
STALE = "This page had been open for too long. Please log in again."
BUSY = "Too many people are logging in just now. Please try again in a moment."
EMPTY = "Enter your email and your password."
WRONG_CODE = "This code is not right, or was used before. Wait for the next one, or use a recovery code."
CODE_COOKIE = "aiops_dashboard_code"
CODE_SECONDS = 180.0
MOST_WAITING = 1000
ACCOUNT = "/account"


def safe_next(wanted: str) -> str:
    """Return the page to go to after the login: an address of our own, or the first page."""
    ours = wanted.startswith("/") and not wanted.startswith("//")
    printable = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return wanted if ours and printable and not wanted.startswith(("/login", "/logout")) else HOME


class PlainPage(RequestHandler):
    """A page without live connection, in the theme the person uses."""

    def initialize(self, parts: Parts) -> None:
        """Take the parts of the process."""
        self.parts = parts

    def show(self, template: str, status: int = 200, **values: Any) -> None:
        """Answer with a page."""
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        known = read_token(self, self.parts.cookie) is not None
        self.finish(render(self, template, **{"known": known, **values}))


class Waiting:
    """Passwords that were right, kept for the minutes in which their owners look for a code; in memory only."""

    def __init__(self) -> None:
        """Wait for nobody yet."""
        self._kept: dict[str, tuple[float, str, str, str]] = {}

    def put(self, email: str, password: str, wanted: str) -> str:
        """Keep a login and return the key to it."""
        now = time.monotonic()
        self._kept = {key: one for key, one in self._kept.items() if one[0] > now}
        if len(self._kept) >= MOST_WAITING:
            self._kept.clear()
        key = secrets.token_urlsafe(32)
        self._kept[key] = (now + CODE_SECONDS, email, password, wanted)
        return key

    def get(self, key: str) -> tuple[str, str, str] | None:
        """Return email, password and the page to go to."""
        until, *login = self._kept.get(key, (0.0, "", "", ""))
        return (login[0], login[1], login[2]) if until > time.monotonic() else None

    def drop(self, key: str) -> None:
        """Forget a login."""
        self._kept.pop(key, None)


WAITING = Waiting()


class DoorPage(PlainPage):
    """A page that somebody may leave logged in."""

    def sender(self) -> dict[str, str]:
        """Return headers by which the host knows whose browser asks: it believes them of the dashboard."""
        before = self.request.headers.get("X-Forwarded-For")
        own = self.request.remote_ip or ""
        return {
            "X-Forwarded-For": f"{before}, {own}" if before else own,
            "User-Agent": self.request.headers.get("User-Agent", ""),
        }

    async def enter(self, token: str, wanted: str) -> None:
        """Keep the token of a fresh session, end the one before, and go on."""
        await end_session(self.parts, read_token(self, self.parts.cookie))
        keep_token(self, token)
        try:
            me = await self.parts.people.find(token)
        except ApiAway:
            me = None
        self.redirect(ACCOUNT if me is not None and me.must_enrol else safe_next(wanted), status=303)


class LoginHandler(DoorPage):
    """The login page."""

    async def get(self) -> None:
        """Show the form; who is logged in already goes on."""
        token = read_token(self, self.parts.cookie)
        try:
            if token and await self.parts.people.find(token):
                self.redirect(safe_next(self.get_query_argument("next", HOME)))
                return
        except ApiAway:
            log.info("the host does not answer at the login page")
        await self._form()

    async def post(self) -> None:
        """Check the password at the host and keep the token it answers."""
        email = self.get_body_argument("email", "").strip()
        password = self.get_body_argument("password", "", strip=False)
        if not email or not password:
            await self._form(EMPTY, 400, email)
            return
        try:
            token = await self.parts.api.log_in(email, password, sender=self.sender())
        except ApiError as error:
            if error.code == "code-needed":
                self._ask_code(WAITING.put(email, password, self.get_body_argument("next", HOME)))
                return
            too_many = error.status == 429  # noqa: PLR2004 - Too Many Requests
            await self._form(BUSY if too_many else REFUSED, error.status if too_many else 401, email)
            return
        except ApiAway as error:
            log.warning("the host does not answer: %s", error)
            await self._form(AWAY, 503, email)
            return
        await self.enter(token, self.get_body_argument("next", HOME))

    def write_error(self, status_code: int, **_: Any) -> None:
        """Show the form again when its token was missing or old."""
        self._show(STALE if status_code == 403 else AWAY, status_code, "", None)  # noqa: PLR2004 - Forbidden

    def _ask_code(self, key: str) -> None:
        secure = self.parts.settings.cookie_secure
        self.set_cookie(CODE_COOKIE, key, path="/login", httponly=True, samesite="Lax", secure=secure)
        self.redirect("/login/code", status=303)

    async def _form(self, error: str = "", status: int = 200, email: str = "") -> None:
        try:
            methods = await self.parts.api.methods()
        except (ApiError, ApiAway):
            methods = None
        self._show(error, status, email, methods)

    def _show(self, error: str, status: int, email: str, methods: LoginMethods | None) -> None:
        self.show(
            "login.html",
            status,
            error=error,
            email=email,
            next=safe_next(self.get_argument("next", HOME)),
            provider=methods.provider if methods else None,
            forgot=bool(methods and methods.forgot),
            xsrf_form=self.xsrf_form_html(),
        )


class CodeHandler(DoorPage):
    """The second step of a login: the code of an authenticator app."""

    def get(self) -> None:
        """Ask for the code."""
        if WAITING.get(self.get_cookie(CODE_COOKIE) or "") is None:
            self.redirect("/login")
            return
        self._form()

    async def post(self) -> None:
        """Log in with the code."""
        key = self.get_cookie(CODE_COOKIE) or ""
        login = WAITING.get(key)
        if login is None:
            self.redirect("/login", status=303)
            return
        email, password, wanted = login
        try:
            token = await self.parts.api.log_in(
                email, password, code=self.get_body_argument("code", "").strip() or "-", sender=self.sender()
            )
        except ApiError as error:
            self._form(WRONG_CODE if error.code == "code-refused" else str(error), error.status)
            return
        except ApiAway as error:
            log.warning("the host does not answer: %s", error)
            self._form(AWAY, 503)
            return
        WAITING.drop(key)
        self.clear_cookie(CODE_COOKIE, path="/login")
        await self.enter(token, wanted)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what to do when the form's token was old."""
        self._form(STALE if status_code == 403 else AWAY, status_code)  # noqa: PLR2004 - Forbidden

    def _form(self, error: str = "", status: int = 200) -> None:
        self.show("code.html", status, error=error, xsrf_form=self.xsrf_form_html())


class LogoutHandler(PlainPage):
    """Ends the session, here and at the host."""

    async def post(self) -> None:
        """End the session and close every page that was opened with it."""
        await end_session(self.parts, read_token(self, self.parts.cookie))
        self.clear_cookie(self.parts.cookie, path="/", secure=self.parts.settings.cookie_secure)
        self.redirect("/login", status=303)

    def get(self) -> None:
        """A link must not log anybody out."""
        self.redirect(HOME)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what to do when the form's token was old."""
        self.show("message.html", status_code, title="You are still logged in", text=STALE, refresh=0)


class HomeHandler(PlainPage):
    """The bare address, where Panel would list every page to anybody."""

    def get(self) -> None:
        """Go to the first page."""
        self.redirect(HOME)


class NotFoundHandler(PlainPage):
    """Every address without a page."""

    def prepare(self) -> None:
        """Answer whatever the method is."""
        text = "There is nothing at this address. Perhaps the link is incomplete."
        self.show("message.html", 404, title="No such page", text=text, refresh=0)

    def check_xsrf_cookie(self) -> None:
        """Nothing is changed here, so no token is asked for."""


def answer_away(handler: RequestHandler) -> None:
    """Answer in place of a page while the host is away; the answer asks again by itself."""
    handler.set_status(503)
    handler.set_header("Retry-After", str(WAIT_SECONDS))
    handler.set_header("Cache-Control", "no-store")
    text = "It may be starting or being updated. This page tries again every few seconds."
    handler.finish(render(handler, "message.html", title="AI Ops is not answering", text=text, refresh=WAIT_SECONDS))


def render(handler: RequestHandler, template: str, *, known: bool = True, **values: Any) -> bytes:
    """Return a page without live connection, in the person's theme; who is not ``known`` is offered to log in."""
    theme, css = handler.get_cookie(THEME_COOKIE) or "auto", (ASSETS / "plain.css").read_text()
    page: bytes = TEMPLATES.load(template).generate(theme=theme, css=css, known=known, **values)
    return page


def keep_token(handler: PlainPage, token: str) -> None:
    """Keep a session's token in the browser, out of scripts' reach."""
    parts = handler.parts
    secure = parts.settings.cookie_secure
    handler.set_cookie(parts.cookie, token, path="/", httponly=True, samesite="Lax", secure=secure)


async def end_session(parts: Parts, token: str | None) -> None:
    """End a session at the host and send its open pages to the login; a host that is away ends it by itself later."""
    if not token:
        return
    try:
        await parts.api.log_out(token)
    except (ApiError, ApiAway) as error:
        log.info("the session could not be ended at the host: %s", error)
    parts.people.forget(token)
    parts.pages.send_away(token)
