"""Tenants: made, configured, suspended, exported and deleted by who runs the installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from panel_material_ui.template.base import Page

from aiops_admin.client import ApiError
from aiops_admin.doors import Doors
from aiops_admin.pages import tenant_view as views
from aiops_admin.pages.forms import Asked, entered
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import DialogPage
from aiops_admin.safe import View, h
from aiops_admin.wire_doors import TenantDetail, TenantLine

T = TypeVar("T")
MAX_SLUG = 63


def build(frame: Frame) -> Page:
    """Return the page."""
    return TenantsPage(frame).contents()


@dataclass(slots=True)
class Known:
    """What the host answered last, and which tenant is open."""

    tenants: tuple[TenantLine, ...] | None = None
    opened: str = ""
    detail: TenantDetail | None = None


class TenantsPage(DialogPage):
    """All tenants, and the sheet of one of them."""

    period = 3000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page, and the open tenant from the address."""
        super().__init__(frame)
        self._known = Known(opened=frame.query.get("open", "")[:MAX_SLUG])
        self._list = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)
        self._sheet = View(on_action=self.on_action, margin=0)

    @property
    def doors(self) -> Doors:
        """The host's API about the open tenant."""
        return Doors(self.api, self.frame.token, self._known.opened or None)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self.begin()
        self._draw()
        return self.frame.show(self._list, self._sheet, self.dialog)

    async def fetch(self) -> None:
        """Fetch the list, and the open tenant."""
        if not self.frame.me.platform_admin:
            return
        known, doors = self._known, self.doors
        try:
            found = await self.frame.ask(doors.tenants)
            known.tenants = known.tenants if found is None else found
            if known.opened and not any(tenant.slug == known.opened for tenant in known.tenants or ()):
                known.opened, known.detail = "", None
            elif known.opened and not self.frame.away:
                known.detail = await self.frame.ask(doors.show_tenant) or known.detail
        except ApiError as error:
            self.frame.warn(f"Tenants cannot be shown in full: {error}")
        if known is self._known:
            self._draw()

    async def on_tenant(self) -> None:
        """All tenants are shown, whichever is chosen."""

    async def on_address(self) -> None:
        """Take over the address after back or forward."""
        await self._open(self.frame.query.get("open", "")[:MAX_SLUG])

    def _draw(self) -> None:
        known = self._known
        self._list.draw(views.tenant_list(known.tenants, allowed=self.frame.me.platform_admin))
        self._sheet.draw(views.tenant_sheet(known.detail) if known.opened and known.detail else h("div"))

    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked or entered."""
        known = self._known
        if action in ("open", "close"):
            await self._open(value)
        elif action == "cancel":
            self.put(None)
        elif action == "new":
            self.put(views.new_question(Asked(what="new")))
        elif action == "delete" and known.detail is not None:
            self.put(views.delete_question(known.detail, Asked(what="delete")))
        elif action == "change" and known.detail is not None:
            self.put(views.change_question(known.detail, Asked(what="change")))
        else:
            await self._act(action, entered(value))

    async def _open(self, slug: str) -> None:
        self._known.opened, self._known.detail = slug, None
        self.frame.browser.address = self.frame.address(open=slug or None)
        self._draw()
        await self.refresh()

    async def _act(self, action: str, given: dict[str, str]) -> None:
        detail, doors = self._known.detail, self.doors
        if action == "create":
            slug = given.get("slug", "").strip()
            made = await self.asked(
                lambda: doors.create_tenant(slug, given.get("name", "").strip()), views.new_question, "new"
            )
            if made is not None:
                self.frame.parts.people.forget(self.frame.token)  # the next page is to know of it at once
                self.put(None)
                await self._open(made.slug)
                return
        elif detail is None:
            return
        elif action in ("suspend", "resume"):
            await self.asked(lambda: doors.suspend(resume=action == "resume"))
        elif action == "save":
            await self._save(detail, given)
        elif action == "delete-now":
            begun = await self.asked(
                lambda: doors.delete_tenant(given.get("typed", "")),
                lambda asked: views.delete_question(detail, asked),
                "delete",
            )
            if begun is not None:
                self.put(views.begun_dialog(begun))
        await self.refresh()

    async def _save(self, detail: TenantDetail, given: dict[str, str]) -> None:
        changes: dict[str, object] = {"name": given.get("name", ""), "contact": given.get("contact", "")}
        try:
            changes["overlap_hours"] = float(given.get("overlap_hours", ""))
        except ValueError:
            asked = Asked(what="change", wrong={"overlap_hours": "Enter a number of hours."})
            self.put(views.change_question(detail, asked))
            return
        saved = await self.asked(
            lambda: self.doors.change_tenant(changes), lambda asked: views.change_question(detail, asked), "change"
        )
        if saved is not None:
            self.put(None)
