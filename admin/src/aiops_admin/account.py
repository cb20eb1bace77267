"""A person's own account: password, second factor, sessions and API tokens; a page without live connection."""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec

from aiops_admin import wire_people as wire
from aiops_admin import words
from aiops_admin.auth import read_token
from aiops_admin.client import ApiAway, ApiError, NotLoggedIn
from aiops_admin.links import SHORT, SHORTEST, TWICE
from aiops_admin.login import ACCOUNT, AWAY, STALE, DoorPage, answer_away, end_session, keep_token
from aiops_admin.wire import Login, Me

log = logging.getLogger(__name__)

FORBIDDEN = 403
ENROL_FIRST = "Enrol an authenticator app below: this installation asks platform administrators for a second factor."


class Shown(msgspec.Struct, kw_only=True):
    """What the page tells beside its lists: what was done or refused, and what is shown this once."""

    done: str = ""
    error: str = ""
    enrolment: wire.Enrolment | None = None
    codes: tuple[str, ...] = ()
    token: str = ""
    status: int = 200


class AccountHandler(DoorPage):
    """``/account``."""

    async def get(self) -> None:
        """Show the account."""
        await self._page(Shown())

    async def post(self) -> None:
        """Do what one of the forms asks for."""
        acts: dict[str, Callable[[str], Awaitable[Shown]]] = {
            "password": self._password,
            "enrol": self._enrol,
            "confirm": self._confirm,
            "renew": self._renew,
            "unenrol": self._unenrol,
            "end": self._end,
            "token": self._token,
            "revoke": self._revoke,
        }
        act = acts.get(self.get_body_argument("act", ""))
        token = read_token(self, self.parts.cookie)
        if not token:
            self._leave()
        elif self.get_body_argument("act", "") == "everywhere":
            await self._everywhere(token)
        elif act is not None:
            await self._do(act, token)
        else:
            await self._page(Shown(error="Nothing was asked for.", status=400))

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what to do when the form's token was old."""
        text = STALE if status_code == FORBIDDEN else AWAY
        self.show("message.html", status_code, title="Please try again", text=text, refresh=0)

    async def _do(self, act: Callable[[str], Awaitable[Shown]], token: str) -> None:
        try:
            shown = await act(token)
        except NotLoggedIn:
            self._leave()
            return
        except ApiError as error:
            shown = Shown(error=str(error), status=error.status)
        except ApiAway as error:
            log.warning("the host does not answer: %s", error)
            answer_away(self)
            return
        await self._page(shown)

    async def _password(self, token: str) -> Shown:
        current, new, again = (self._given(name) for name in ("current", "password", "again"))
        if new != again or len(new) < SHORTEST:
            return Shown(error=TWICE if new != again else SHORT, status=422)
        wish = {"current": current, "new": new}
        session = await self.parts.api.call("POST", "/me/password", token, Login, json=wish)
        await end_session(self.parts, token)
        keep_token(self, session.token)
        self._fresh = session.token
        return Shown(done="Your password is changed, and you are logged out everywhere else.")

    async def _enrol(self, token: str) -> Shown:
        begun = await self._call("POST", "/me/totp", token, wire.Enrolment, {"password": self._given("current")})
        return Shown(enrolment=begun)

    async def _confirm(self, token: str) -> Shown:
        wish = {"code": self._given("code").strip() or "-"}
        made = await self._call("POST", "/me/totp/confirm", token, wire.RecoveryCodes, wish)
        self.parts.people.forget(token)
        return Shown(done="From now on a login asks for a code of your device.", codes=made.codes)

    async def _renew(self, token: str) -> Shown:
        made = await self._call("POST", "/me/totp/recovery-codes", token, wire.RecoveryCodes, self._both())
        return Shown(done="Recovery codes from before are worth nothing now.", codes=made.codes)

    async def _unenrol(self, token: str) -> Shown:
        await self._call("POST", "/me/totp/remove", token, type(None), self._both())
        self.parts.people.forget(token)
        return Shown(done="A login asks for your password only.")

    async def _end(self, token: str) -> Shown:
        await self.parts.api.call("DELETE", f"/me/sessions/{self._id()}", token, type(None))
        return Shown(done="That session has ended.")

    async def _token(self, token: str) -> Shown:
        tenant = self._given("tenant")
        wish = {
            "name": self._given("name"),
            "role": self._given("role"),
            "days": int(self._given("days")) if self._given("days").isdecimal() else 0,
            **({"tenant": tenant} if tenant else {}),
        }
        made = await self._call("POST", "/me/tokens", token, wire.MadeToken, wish)
        return Shown(done="Copy the token now: it is shown this once.", token=made.token)

    async def _revoke(self, token: str) -> Shown:
        await self.parts.api.call("DELETE", f"/me/tokens/{self._id()}", token, type(None))
        return Shown(done="The token is revoked.")

    async def _everywhere(self, token: str) -> None:
        try:
            await self.parts.api.call("POST", "/logout/everywhere", token, dict[str, int])
        except (ApiError, ApiAway) as error:
            log.info("sessions could not be ended at the host: %s", error)
        await end_session(self.parts, token)
        self._leave()

    async def _page(self, shown: Shown) -> None:
        token = getattr(self, "_fresh", None) or read_token(self, self.parts.cookie)
        try:
            me = await self.parts.people.find(token) if token else None
            if token is None or me is None:
                self._leave()
                return
            factor = await self.parts.api.call("GET", "/me/totp", token, wire.FactorState)
            sessions = await self.parts.api.call("GET", "/me/sessions", token, tuple[wire.Session, ...])
            tokens = await self.parts.api.call("GET", "/me/tokens", token, wire.Tokens)
        except NotLoggedIn:
            self._leave()
            return
        except (ApiError, ApiAway) as error:
            log.warning("the account cannot be shown: %s", error)
            answer_away(self)
            return
        self.show(
            "account.html",
            shown.status,
            me=me,
            told=shown,
            first=ENROL_FIRST if me.must_enrol else "",
            picture=_picture(shown.enrolment),
            factor=factor,
            sessions=sessions,
            tokens=tokens.items,
            roles=_roles(me),
            names=words.ROLES,
            xsrf_form=self.xsrf_form_html(),
        )

    async def _call(self, method: str, path: str, token: str, answer: type[Any], wish: object) -> Any:
        return await self.parts.api.call(method, path, token, answer, json=wish)

    def _both(self) -> dict[str, str]:
        return {"password": self._given("current") or "-", "code": self._given("code").strip() or "-"}

    def _given(self, name: str) -> str:
        return str(self.get_body_argument(name, "", strip=False))

    def _id(self) -> UUID:
        try:
            return UUID(self._given("id"))
        except ValueError:
            return UUID(int=0)

    def _leave(self) -> None:
        self.redirect(f"/login?next={ACCOUNT}", status=303)


def _roles(me: Me) -> list[str]:
    order = ["read-only", "technician", "tenant-admin", "platform-admin"]
    held = [order.index(tenant.role) for tenant in me.tenants if tenant.role in order]
    highest = order.index("platform-admin") if me.platform_admin else max(held, default=0)
    return order[: highest + 1]


def _picture(enrolment: wire.Enrolment | None) -> str:
    if enrolment is None:
        return ""
    svg = enrolment.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
