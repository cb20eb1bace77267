"""Pages that follow what happens: fetched anew while somebody looks, and lists with filters and pages."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import panel as pn
from panel_material_ui.template.base import Page
from panel_material_ui.widgets import Select, TextInput

from aiops_admin.client import ApiError
from aiops_admin.pages.forms import Asked
from aiops_admin.pages.frame import FIELD, Frame
from aiops_admin.safe import Node, View, h

T = TypeVar("T")

log = logging.getLogger(__name__)

PAGE_SIZE = 50
FILTER_STYLE = {"flex-wrap": "wrap", "gap": "12px", "padding": "20px clamp(16px, 3.16vw, 24px) 4px"}
MAX_TEXT, MAX_ID = 255, 64
BAD_REQUEST = 400


class LivePage(ABC):
    """A page that fetches what it shows every ``period`` milliseconds while it is in view."""

    period: ClassVar[int] = 2000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page."""
        self.frame = frame
        self.api = frame.parts.api
        self._visible = True
        self._busy = asyncio.Lock()

    def begin(self) -> None:
        """Fetch once the browser is there, and from then on."""
        self.frame.on_tenant(self.on_tenant)
        self.frame.browser.listen(self._on_browser)
        pn.state.onload(self._start)

    async def refresh(self) -> None:
        """Fetch and show everything."""
        try:
            async with self._busy:
                await self.fetch()
        except Exception:  # isolation: one failed look must neither end the live page nor pass for an empty one
            log.exception("a page cannot be shown")
            self.frame.warn("Something could not be shown. The dashboard's log says why.")

    @abstractmethod
    async def fetch(self) -> None:
        """Ask the host and draw its answers."""

    @abstractmethod
    async def on_tenant(self) -> None:
        """Forget what was fetched for the tenant before."""

    async def on_address(self) -> None:
        """Take over the address after back or forward."""
        await self.on_tenant()

    async def _start(self) -> None:
        await self.frame.load()
        await self.refresh()
        # Started here: a tick before the page is ready in the browser would be lost.
        pn.state.add_periodic_callback(self._tick, period=self.period)  # type: ignore[arg-type]

    async def _tick(self) -> None:
        if self._visible and not self._busy.locked():
            await self.refresh()

    async def _on_browser(self, name: str, value: str) -> None:
        if name == "visible":
            self._visible = bool(value)
            await self._tick()
        elif name == "address":
            await self.on_address()


class DialogPage(LivePage):
    """A page that asks people, one question at a time."""

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page."""
        super().__init__(frame)
        self.dialog = View(on_action=self.on_action, margin=0)

    @abstractmethod
    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked or entered."""

    def put(self, question: Node | None) -> None:
        """Show a question in place of the one before, or none."""
        self.dialog.draw(question if question is not None else h("div"))

    async def asked(
        self, call: Callable[[], Awaitable[T]], question: Callable[[Asked], Node] | None = None, what: str = ""
    ) -> T | None:
        """Return the host's answer; where it refuses, the question or the page says why."""
        try:
            return await self.frame.ask(call)
        except ApiError as error:
            if question is None:
                self.frame.warn(str(error))
            else:
                self.put(question(Asked(what=what, refusal=str(error), wrong=error.fields)))
            return None


def id_of(text: str) -> UUID | None:
    """Return the id that stands in an address, ``None`` for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None


@dataclass
class Place:
    """Where in a list somebody is: the cursor of the page shown and those of the pages before."""

    cursor: str = ""
    past: list[str] = field(default_factory=list)

    def older(self, cursor: str) -> None:
        """Go to the page after this one."""
        self.past.append(self.cursor)
        self.cursor = cursor

    def newer(self) -> None:
        """Go back one page."""
        self.cursor = self.past.pop() if self.past else ""


class ListPage(LivePage):
    """A list filtered by one choice and by ticket, and the row that is open, all of it in the page's address."""

    choice: ClassVar[str]
    """What the choice is called in the address and the API."""
    choice_label: ClassVar[str]
    choices: ClassVar[Mapping[str, str]]
    """Value by name; the empty value stands for all."""
    item: ClassVar[str]
    """What the open row's id is called in the address."""

    def __init__(self, frame: Frame) -> None:
        """Take filters, place and open row from the address."""
        super().__init__(frame)
        self.chosen = self.ticket = self.opened = ""
        self.place = Place()
        self.read_address()
        self.list_view = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)
        self.open_view = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)
        self._select = Select(
            label=self.choice_label, options=dict(self.choices), value=self.chosen, width=190, **FIELD
        )
        self._input = TextInput(label="Ticket", placeholder="exact number", value=self.ticket, width=155, **FIELD)
        self.filters = pn.Row(frame.tenants, self._select, self._input, styles=FILTER_STYLE, margin=0)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self._select.param.watch(self._on_filter, "value")
        self._input.param.watch(self._on_filter, "value")
        self.begin()
        self.draw()
        return self.frame.show(self.filters, self.list_view, self.open_view)

    @abstractmethod
    def draw(self) -> None:
        """Draw the list from what was fetched last."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what was fetched: it may be another tenant's."""

    @property
    @abstractmethod
    def next_cursor(self) -> str | None:
        """The cursor of the page after the one shown."""

    def refused(self, error: ApiError) -> None:
        """Start at the newest row when the API knows no such place in the list; otherwise say what it says."""
        if error.status == BAD_REQUEST and self.place.cursor:
            self.place = Place()
            self.write_address()
        else:
            self.frame.warn(f"The list cannot be shown: {error}")

    @property
    def filtered(self) -> bool:
        """Whether some rows are left out."""
        return bool(self.chosen or self.ticket)

    def query(self) -> dict[str, str | int | None]:
        """Return what to ask the API for."""
        return {
            "tenant": self.frame.tenant,
            self.choice: self.chosen or None,
            "ticket": self.ticket or None,
            "cursor": self.place.cursor or None,
            "limit": PAGE_SIZE,
        }

    def address(self, **changes: str | None) -> str:
        """Return the query of this page's address with changes."""
        now: dict[str, str | None] = {
            self.choice: self.chosen,
            "ticket": self.ticket,
            "cursor": self.place.cursor,
            self.item: self.opened,
        }
        return self.frame.address(**(now | changes))

    def read_address(self) -> None:
        """Take filters, place and open row from the address."""
        query = self.frame.query
        chosen = query.get(self.choice, "")
        self.chosen = chosen if chosen in self.choices.values() else ""
        self.ticket = query.get("ticket", "")[:MAX_TEXT]
        # Without a tenant the API would look in the person's only one.
        self.opened = "" if self.frame.unknown else query.get(self.item, "")[:MAX_ID]
        self.place = Place(query.get("cursor", "")[:MAX_TEXT])

    def write_address(self) -> None:
        """Show filters, place and open row in the address."""
        self.frame.browser.address = self.address()

    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked."""
        if action == "open":
            self.opened = value
            self.draw_opening()
        elif action == "close":
            self.opened = ""
            self.open_view.draw(h("div"))
        elif action == "older" and self.next_cursor:
            self.place.older(self.next_cursor)
        elif action == "newer":
            self.place.newer()
        elif action == "clear":
            self._select.value, self._input.value = "", ""
            return
        self.write_address()
        await self.refresh()

    def draw_opening(self) -> None:
        """Draw what stands in place of an open row until it is fetched."""

    async def on_tenant(self) -> None:
        """Start at the newest row of the tenant."""
        self.opened = ""
        self.open_view.draw(h("div"))
        self.forget()
        self.place = Place()
        self.write_address()
        self.draw()
        await self.refresh()

    async def on_address(self) -> None:
        """Take over the address after back or forward."""
        self.forget()
        self.read_address()
        self.write_address()
        self._select.value, self._input.value = self.chosen, self.ticket
        await self.refresh()

    async def _on_filter(self, _: Any) -> None:
        chosen = (self._select.value or "", (self._input.value or "").strip())
        if chosen == (self.chosen, self.ticket):
            return
        self.chosen, self.ticket = chosen
        self.place = Place()
        self.write_address()
        await self.refresh()
