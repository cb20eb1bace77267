"""Logging in and out: the only pages that work without a session."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tornado.template import Loader
from tornado.web import RequestHandler

from aiops_admin.auth import THEME_COOKIE, read_token
from aiops_admin.client import ApiAway, ApiError
from aiops_admin.parts import Parts

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
        self.finish(render(self, template, **values))


class LoginHandler(PlainPage):
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
        self._form()

    async def post(self) -> None:
        """Check the password at the host and keep the token it answers."""
        email = self.get_body_argument("email", "").strip()
        password = self.get_body_argument("password", "", strip=False)
        if not email or not password:
            self._form(EMPTY, 400, email)
            return
        try:
            token = await self.parts.api.log_in(email, password)
        except ApiError as error:
            too_many = error.status == 429  # noqa: PLR2004 - Too Many Requests
            self._form(BUSY if too_many else REFUSED, error.status if too_many else 401, email)
            return
        except ApiAway as error:
            log.warning("the host does not answer: %s", error)
            self._form(AWAY, 503, email)
            return
        await end_session(self.parts, read_token(self, self.parts.cookie))
        secure = self.parts.settings.cookie_secure
        self.set_cookie(self.parts.cookie, token, path="/", httponly=True, samesite="Lax", secure=secure)
        self.redirect(safe_next(self.get_body_argument("next", HOME)), status=303)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Show the form again when its token was missing or old."""
        self._form(STALE if status_code == 403 else AWAY, status_code)  # noqa: PLR2004 - Forbidden

    def _form(self, error: str = "", status: int = 200, email: str = "") -> None:
        wanted = safe_next(self.get_argument("next", HOME))
        self.show("login.html", status, error=error, email=email, next=wanted, xsrf_form=self.xsrf_form_html())


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


def render(handler: RequestHandler, template: str, **values: Any) -> bytes:
    """Return a page without live connection, in the person's theme."""
    theme = handler.get_cookie(THEME_COOKIE) or "auto"
    page: bytes = TEMPLATES.load(template).generate(theme=theme, css=(ASSETS / "plain.css").read_text(), **values)
    return page


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
