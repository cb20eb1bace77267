"""People: a tenant's members and invitations for its administrators, and everybody for who runs the installation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import panel as pn
from panel_material_ui.template.base import Page

from aiops_admin import wire_people as wire
from aiops_admin.client import ApiError
from aiops_admin.pages import people_view as views
from aiops_admin.pages.forms import Asked, entered
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import FILTER_STYLE, DialogPage, id_of
from aiops_admin.safe import Node, View

T = TypeVar("T")
PAGE = 200
MOST_PAGES = 25


def build(frame: Frame) -> Page:
    """Return the page."""
    return PeoplePage(frame).contents()


@dataclass(slots=True)
class Known:
    """What the host answered last."""

    members: list[wire.Member] | None = None
    invitations: tuple[wire.Invitation, ...] = ()
    people: list[wire.Person] | None = None


class PeoplePage(DialogPage):
    """Members, invitations and everybody."""

    period = 5000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page."""
        super().__init__(frame)
        self._known = Known()
        self._members = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)
        self._everybody = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self.begin()
        self._draw()
        filters = pn.Row(self.frame.tenants, styles=FILTER_STYLE, margin=0, visible=len(self.frame.me.tenants) > 1)
        return self.frame.show(filters, self._members, self._everybody, self.dialog)

    async def fetch(self) -> None:
        """Fetch all that the person may see."""
        known = self._known
        if not self.frame.may_manage:
            self.frame.warn("People are for administrators.")
            return
        try:
            if self.frame.tenant:
                found = await self.frame.ask(lambda: self._all("/members", wire.Members))
                known.members = known.members if found is None else found
                invited = await self.frame.ask(lambda: self._call("GET", "/invitations", tuple[wire.Invitation, ...]))
                known.invitations = known.invitations if invited is None else invited
            if self.frame.me.platform_admin:
                everybody = await self.frame.ask(lambda: self._all("/people", wire.Persons))
                known.people = known.people if everybody is None else everybody
        except ApiError as error:
            self.frame.warn(f"People cannot be shown in full: {error}")
        if known is self._known:
            self._draw()

    async def on_tenant(self) -> None:
        """Forget the members of the tenant before."""
        self._known = Known(people=self._known.people)
        self.frame.browser.address = self.frame.address()
        self._draw()
        await self.refresh()

    def _draw(self) -> None:
        known, frame = self._known, self.frame
        self._members.draw(
            views.members_part(known.members, known.invitations, tenant=frame.tenant, unknown=frame.unknown)
        )
        self._everybody.draw(views.everybody_part(known.people or ()))

    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked or entered."""
        member = next((m for m in self._known.members or () if m.user_id == id_of(value)), None)
        person = next((p for p in self._known.people or () if p.user_id == id_of(value)), None)
        if action == "cancel":
            self.put(None)
        elif action == "invite":
            self.put(views.invite_question(Asked(what=action)))
        elif action == "make":
            self.put(views.make_question(Asked(what=action)))
        elif action == "member" and member is not None:
            self.put(views.member_question(member, Asked(what=action)))
        elif action == "person" and person is not None:
            self.put(views.person_question(person, Asked(what=action)))
        elif action.endswith("-now") or action == "withdraw":
            await self._change_tenant(action, value)
            await self.refresh()
        elif person is not None:
            await self._change_person(action, person)
            await self.refresh()

    async def _change_tenant(self, action: str, value: str) -> None:
        given = entered(value)
        if action == "withdraw":
            await self._done(lambda: self._call("DELETE", f"/invitations/{id_of(value)}", type(None)), None)
        elif action == "invite-now":
            wish = {"email": given.get("email", ""), "role": given.get("role", "")}
            sent = await self.asked(lambda: self._call("POST", "/invitations", wire.Sent, wish), views.invite_question)
            if sent is not None:
                self.put(views.link_dialog(sent.invitation.email, sent.link))
        elif action == "make-now":
            await self._make(given)
        else:
            await self._change_member(action, given, value)

    async def _make(self, given: dict[str, str]) -> None:
        wish = {"email": given.get("email", ""), "platform_admin": "platform_admin" in given}
        made = await self.asked(lambda: self._call("POST", "/people", dict[str, Any], wish), views.make_question)
        if made is not None:
            link = made["link"]
            shown = wire.Link(mailed=link["mailed"], url=link["url"], problem=link["problem"])
            self.put(views.link_dialog(given.get("email", ""), shown))

    async def _change_member(self, action: str, given: dict[str, str], value: str) -> None:
        user_id = id_of(given.get("id", "") or value)
        member = next((m for m in self._known.members or () if m.user_id == user_id), None)
        if member is None:
            return
        path, method, wish = f"/members/{member.user_id}", "DELETE", None
        if action == "role-now":
            method, wish = "PUT", {"role": given.get("role", "")}
        await self._done(
            lambda: self._call(method, path, type(None), wish), lambda asked: views.member_question(member, asked)
        )

    async def _change_person(self, action: str, person: wire.Person) -> None:
        path = f"/people/{person.user_id}"
        changes: dict[str, dict[str, bool]] = {
            "promote": {"platform_admin": True},
            "demote": {"platform_admin": False},
            "deactivate": {"active": False},
            "activate": {"active": True},
        }

        def again(asked: Asked) -> Node:
            return views.person_question(person, asked)

        if action in changes:
            await self._done(lambda: self._call("PUT", path, dict[str, Any], changes[action]), again)
        elif action == "reset":
            link = await self.asked(lambda: self._call("POST", f"{path}/reset", wire.Link, {}), again)
            if link is not None:
                self.put(views.link_dialog(person.email, link))
        elif action == "logout":
            ended = await self.asked(lambda: self._call("POST", f"{path}/logout", dict[str, int]), again)
            if ended is not None:
                self.put(views.told_dialog("Logged out", f"{ended['ended']} sessions of {person.email} ended."))
        elif action == "unfactor":
            await self._done(lambda: self._call("POST", f"{path}/totp/remove", type(None)), again)

    async def _done(self, call: Callable[[], Awaitable[object]], question: Callable[[Asked], Node] | None) -> None:
        """Do what closes the dialog where it is taken."""

        async def told() -> bool:
            await call()
            return True

        if await self.asked(told, question):
            self.put(None)

    async def _all(self, path: str, page: type[Any]) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            query = {"tenant": self.frame.tenant, "limit": str(PAGE), "cursor": cursor}
            if path == "/people":
                del query["tenant"]
            answer = await self.api.call("GET", path, self.frame.token, page, query=query)
            found += answer.items
            cursor = answer.next
            if cursor is None:
                break
        return found

    async def _call(self, method: str, path: str, answer: type[T], wish: object = None) -> T:
        query = {} if path.startswith("/people") else {"tenant": self.frame.tenant}
        return await self.api.call(method, path, self.frame.token, answer, query=query, json=wish)
