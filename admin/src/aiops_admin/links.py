"""One-time links: invitations, new passwords, and asking for one."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import msgspec

from aiops_admin import words
from aiops_admin.client import ApiAway, ApiError
from aiops_admin.login import AWAY, STALE, DoorPage, answer_away

log = logging.getLogger(__name__)

SHORTEST = 12
TWICE = "The two passwords are not the same."
SHORT = f"A password has at least {SHORTEST} characters."
FORBIDDEN = 403


class _Invitation(msgspec.Struct, frozen=True, kw_only=True):
    email: str
    name: str
    role: str
    expires_at: datetime


class _Reset(msgspec.Struct, frozen=True, kw_only=True):
    email: str


class LinkPage(DoorPage):
    """A page that a one-time link leads to; following the link changes nothing, sending the form does."""

    @property
    def token(self) -> str:
        """What stands in the link."""
        return self.get_argument("token", "")[:64]

    def spent(self, error: ApiError) -> None:
        """Say that the link leads nowhere."""
        self.show("message.html", error.status, title="This link does not work", text=str(error), refresh=0)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what to do when the form's token was old."""
        text = STALE if status_code == FORBIDDEN else AWAY
        self.show("message.html", status_code, title="Please try again", text=text, refresh=0)


class InvitationHandler(LinkPage):
    """``/invitation``: accepts one."""

    async def get(self) -> None:
        """Show what the invitation is for."""
        await self._form()

    async def post(self) -> None:
        """Accept it: with a password of one's choice, or the one of the account there is."""
        password = self.get_body_argument("password", "", strip=False)
        code = self.get_body_argument("code", "").strip()
        wish = {"token": self.token, "password": password or "-", **({"code": code} if code else {})}
        try:
            await self.parts.api.knock("/invitations/accept", _Invitation, wish, sender=self.sender())
        except ApiError as error:
            if error.code == "link-spent":
                self.spent(error)
            else:
                await self._form(str(error), error.status, ask_code=error.code.startswith("code-"))
            return
        except ApiAway:
            answer_away(self)
            return
        text = "The invitation is accepted. Log in with your address and the password you entered."
        self.show("message.html", title="Welcome", text=text, refresh=0)

    async def _form(self, error: str = "", status: int = 200, *, ask_code: bool = False) -> None:
        try:
            found = await self.parts.api.knock("/invitations/look", _Invitation, {"token": self.token or "-"})
        except ApiError as refused:
            self.spent(refused)
            return
        except ApiAway:
            answer_away(self)
            return
        self.show(
            "invitation.html",
            status,
            error=error,
            email=found.email,
            tenant=found.name,
            role=words.ROLES.get(found.role, found.role),
            token=self.token,
            ask_code=ask_code,
            xsrf_form=self.xsrf_form_html(),
        )


class PasswordHandler(LinkPage):
    """``/password``: chooses a new one."""

    async def get(self) -> None:
        """Show whose password it is."""
        await self._form()

    async def post(self) -> None:
        """Set the password."""
        first, second = (self.get_body_argument(name, "", strip=False) for name in ("password", "again"))
        wrong = TWICE if first != second else SHORT if len(first) < SHORTEST else ""
        if wrong:
            await self._form(wrong, 422)
            return
        try:
            wish = {"token": self.token or "-", "password": first}
            await self.parts.api.knock("/password/reset", type(None), wish, sender=self.sender())
        except ApiError as error:
            self.spent(error)
            return
        except ApiAway:
            answer_away(self)
            return
        text = "Your new password is set, and you are logged out everywhere. Log in with it."
        self.show("message.html", title="Done", text=text, refresh=0, known=False)

    async def _form(self, error: str = "", status: int = 200) -> None:
        try:
            found = await self.parts.api.knock("/password/look", _Reset, {"token": self.token or "-"})
        except ApiError as refused:
            self.spent(refused)
            return
        except ApiAway:
            answer_away(self)
            return
        form = self.xsrf_form_html()
        self.show("password.html", status, error=error, email=found.email, token=self.token, xsrf_form=form)


class ForgotHandler(LinkPage):
    """``/forgot``: has a link for a new password mailed."""

    def get(self) -> None:
        """Ask for the address."""
        self._form()

    async def post(self) -> None:
        """Have the link mailed; what is said is the same for every address."""
        email = self.get_body_argument("email", "").strip()
        try:
            await self.parts.api.knock("/password/forgot", dict[str, Any], {"email": email}, sender=self.sender())
        except ApiError as error:
            self._form(str(error), error.status, email)
            return
        except ApiAway:
            answer_away(self)
            return
        text = (
            "If somebody has this address here, a mail with a link is on its way. The link works for two hours, once."
        )
        self.show("message.html", title="Look into your mail", text=text, refresh=0)

    def _form(self, error: str = "", status: int = 200, email: str = "") -> None:
        self.show("forgot.html", status, error=error, email=email, xsrf_form=self.xsrf_form_html())
