"""Language models: the tenant's keys, entered and tried; its budgets; what it used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import panel as pn
from panel_material_ui.template.base import Page

from aiops_admin.client import ApiError
from aiops_admin.money import Money
from aiops_admin.pages import model_view as views
from aiops_admin.pages.bits import heading, no_tenant
from aiops_admin.pages.forms import Asked, entered
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import FILTER_STYLE, DialogPage
from aiops_admin.pages.model_view import Known
from aiops_admin.safe import View, h
from aiops_admin.wire_money import Provider

T = TypeVar("T")


def build(frame: Frame) -> Page:
    """Return the page."""
    return ModelsPage(frame).contents()


class ModelsPage(DialogPage):
    """The tenant's keys, budgets and usage."""

    period = 3000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page."""
        super().__init__(frame)
        self._known = Known()
        self._view = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)

    @property
    def money(self) -> Money:
        """The host's API for the person in the chosen tenant."""
        return Money(self.api, self.frame.token, self.frame.tenant)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self.begin()
        self._draw()
        filters = pn.Row(self.frame.tenants, styles=FILTER_STYLE, margin=0, visible=len(self.frame.me.tenants) > 1)
        return self.frame.show(filters, self._view, self.dialog)

    async def fetch(self) -> None:
        """Fetch keys, budgets and usage."""
        known, money = self._known, self.money
        if self.frame.tenant is None:
            return
        try:
            found = await self.frame.ask(money.providers)
            if found is not None:
                known.providers = found
                known.budgets = await self.frame.ask(money.budgets) or ()
                known.unpriced = await self.frame.ask(money.unpriced) or ()
                known.usage = await self.frame.ask(money.usage) or ()
                if self.frame.me.platform_admin:
                    known.tenants = await self.frame.ask(money.overview) or ()
        except ApiError as error:
            self.frame.warn(f"Language models cannot be shown in full: {error}")
        if known is self._known:
            self._draw()

    async def on_tenant(self) -> None:
        """Forget what was the tenant's before."""
        self._known = Known()
        self.put(None)
        self.frame.browser.address = self.frame.address()
        self._draw()
        await self.refresh()

    def _draw(self) -> None:
        if self.frame.tenant is None:
            self._view.draw(h("div", heading("Language models"), no_tenant(self.frame.unknown), class_="list"))
        else:
            self._view.draw(views.whole(self._known, may_manage=self.frame.may_manage))

    def _provider(self, name: str) -> Provider | None:
        return next((p for p in self._known.providers or () if p.name == name), None)

    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked or entered."""
        known = self._known
        if action == "cancel":
            self.put(None)
        elif action in ("key", "drop", "budget"):
            known.asked, known.wanted = value, {}
            self._question(Asked(what=action))
        elif action in ("test", "first", "drop-budget"):
            await self._at_once(action, value)
        elif action in ("enter", "drop-now", "set-budget"):
            await self._sent(action, entered(value))
        await self.refresh()

    def _question(self, asked: Asked) -> None:
        known, provider = self._known, self._provider(self._known.asked)
        if asked.what == "budget":
            self.put(views.budget_question(asked, known.wanted))
        elif provider is not None and asked.what == "key":
            self.put(views.key_question(provider, asked, known.wanted))
        elif provider is not None:
            self.put(views.drop_question(provider, asked))

    async def _at_once(self, action: str, value: str) -> None:
        money = self.money
        acts: dict[str, Callable[[], Awaitable[Any]]] = {
            "test": lambda: money.test_key(value),
            "first": lambda: money.order(self._order(value)),
            "drop-budget": lambda: money.drop_budget(value),
        }
        await self._asked_host(acts[action], "")

    async def _sent(self, action: str, given: dict[str, str]) -> None:
        money, name = self.money, self._known.asked
        self._known.wanted = {field: text for field, text in given.items() if field != "key"}
        acts: dict[str, tuple[Callable[[], Awaitable[Any]], str]] = {
            "enter": (lambda: money.enter_key(_key(name, given)), "key"),
            "drop-now": (lambda: money.drop_key(name), "drop"),
            "set-budget": (lambda: money.set_budget(_budget(given)), "budget"),
        }
        call, question = acts[action]
        if await self._asked_host(call, question):
            self.put(None)

    def _order(self, first: str) -> list[str]:
        held = [p.name for p in self._known.providers or () if p.state == "live" and p.name != first]
        return [first, *held]

    async def _asked_host(self, call: Callable[[], Awaitable[T]], question: str) -> bool:
        async def asked() -> bool:
            await call()
            return True

        try:
            return bool(await self.frame.ask(asked))
        except ApiError as error:
            if question:
                told = None if error.fields else str(error)
                self._question(Asked(what=question, refusal=told, wrong=error.fields))
            else:
                self.frame.warn(str(error))
            return False


def _key(provider: str, given: dict[str, str]) -> dict[str, Any]:
    models = [line.strip() for line in given.get("models", "").replace(",", "\n").splitlines() if line.strip()]
    endpoint = given.get("endpoint", "").strip()
    entry = {"provider": provider, "key": given.get("key", ""), "models": models}
    return {**entry, "endpoint": endpoint} if endpoint else entry


def _budget(given: dict[str, str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"period": given.get("period", "month")}
    for name, kind in (("usd", float), ("tokens", int)):
        text = given.get(name, "").strip()
        if text:
            try:
                entry[name] = kind(text)
            except ValueError:
                entry[name] = text
    return entry
