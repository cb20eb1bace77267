"""The live list of deliveries, and one of them in detail."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

import panel as pn
from panel_material_ui.template.base import Page
from panel_material_ui.widgets import Select, TextInput

from aiops_admin import words
from aiops_admin.client import ApiError
from aiops_admin.pages.delivery_detail import detail_sheet, missing_sheet, refused_sheet, waiting_sheet
from aiops_admin.pages.delivery_list import Listing, delivery_list
from aiops_admin.pages.frame import FIELD, Frame
from aiops_admin.safe import Node, View, h
from aiops_admin.wire import Connection, DeliveryDetail, DeliveryPage, RunDetail

log = logging.getLogger(__name__)

BAD_REQUEST, NOT_FOUND = 400, 404
REFRESH_MS = 2000
PAGE_SIZE = 50
FILTER_STYLE = {"flex-wrap": "wrap", "gap": "12px", "padding": "20px 24px 4px"}
ANY_STATE = "All states"


def build(frame: Frame) -> Page:
    """Return the page."""
    return DeliveriesPage(frame).contents()


class DeliveriesPage:
    """One open list: its filters, its place in the pages, and the delivery that is open."""

    def __init__(self, frame: Frame) -> None:
        """Take filters, place and open delivery from the address."""
        self._frame = frame
        self._api = frame.parts.api
        self._visible = True
        self._busy = asyncio.Lock()
        self._connections: tuple[Connection, ...] | None = None
        self._page: DeliveryPage | None = None
        self._runs: dict[UUID, RunDetail] = {}
        self._list = View(on_action=self._on_action, sizing_mode="stretch_width", margin=0)
        self._sheet = View(on_action=self._on_action, margin=0)
        self._read_address()
        self._state_select = Select(label="State", options=_state_options(), value=self._state, width=170, **FIELD)
        self._ticket_input = TextInput(
            label="Ticket", placeholder="exact number", value=self._ticket, width=155, **FIELD
        )

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self._state_select.param.watch(self._on_filter, "value")
        self._ticket_input.param.watch(self._on_filter, "value")
        self._frame.on_tenant(self._on_tenant)
        self._frame.browser.listen(self._on_browser)
        self._draw()
        pn.state.onload(self._start)
        filters = pn.Row(self._frame.tenants, self._state_select, self._ticket_input, styles=FILTER_STYLE, margin=0)
        return self._frame.show(filters, self._list, self._sheet)

    async def _start(self) -> None:
        await self._frame.load()
        await self.refresh()
        # Started here: a tick before the page is ready in the browser would be lost.
        pn.state.add_periodic_callback(self._tick, period=REFRESH_MS)  # type: ignore[arg-type]

    async def _tick(self) -> None:
        if self._visible and not self._busy.locked():
            await self.refresh()

    async def refresh(self) -> None:
        """Fetch and show the list and, if one is open, the delivery."""
        try:
            async with self._busy:
                await self._refresh_list()
                if not self._frame.away:
                    await self._refresh_sheet()
        except Exception:  # isolation: one failed look must neither end the live list nor pass for an empty one
            log.exception("the list or a delivery cannot be shown")
            self._frame.warn("Something could not be shown. The dashboard's log says why.")

    async def _refresh_list(self) -> None:
        if self._frame.tenant is None:
            self._draw()
            return
        query = self._query()
        try:
            answer = await self._frame.ask(lambda: self._api.deliveries(self._frame.token, query))
        except ApiError as error:
            if error.status == BAD_REQUEST and self._cursor:
                self._go(cursor="", past=[])
            else:
                self._frame.warn(f"The list cannot be shown: {error}")
            return
        if query != self._query():
            return
        if answer is not None:
            self._page = answer
            if not answer.items and self._connections is None:
                await self._fetch_connections()
        self._draw()

    def _query(self) -> dict[str, str | int | None]:
        return {
            "tenant": self._frame.tenant,
            "state": self._state or None,
            "ticket": self._ticket or None,
            "cursor": self._cursor or None,
            "limit": PAGE_SIZE,
        }

    async def _fetch_connections(self) -> None:
        try:
            self._connections = await self._frame.ask(
                lambda: self._api.connections(self._frame.token, self._frame.tenant)
            )
        except ApiError as error:
            log.info("the connections are refused: %s", error)

    async def _refresh_sheet(self) -> None:
        if not self._open:
            self._sheet.draw(h("div"))
            return
        wanted = _uuid(self._open)
        try:
            sheet = missing_sheet() if wanted is None else await self._fetch_sheet(wanted)
        except ApiError as error:
            sheet = missing_sheet() if error.status == NOT_FOUND else refused_sheet(str(error))
        if sheet is not None and wanted == _uuid(self._open):
            self._sheet.draw(sheet)

    async def _fetch_sheet(self, wanted: UUID) -> Node | None:
        found = await self._frame.ask(lambda: self._api.delivery(self._frame.token, wanted, self._frame.tenant))
        if found is None:
            return None
        await self._fetch_runs(found)
        return detail_sheet(found, [self._runs[run.id] for run in found.runs if run.id in self._runs])

    async def _fetch_runs(self, detail: DeliveryDetail) -> None:
        for run in detail.runs:
            if run.id not in self._runs:
                answer = await self._frame.ask(
                    lambda wanted=run.id: self._api.run(self._frame.token, wanted, self._frame.tenant)  # type: ignore[misc]
                )
                if answer is not None:
                    self._runs[run.id] = answer

    def _draw(self) -> None:
        self._list.draw(
            delivery_list(
                Listing(
                    page=self._page,
                    has_tenant=self._frame.tenant is not None,
                    filtered=bool(self._state or self._ticket),
                    first=not self._cursor,
                    live=not self._frame.away,
                    connections=self._connections,
                    webhook_base=self._frame.parts.settings.webhook_base,
                    link=lambda delivery_id: self._address(delivery=delivery_id),
                )
            )
        )

    def _read_address(self) -> None:
        query = self._frame.query
        self._state = query.get("state", "") if query.get("state", "") in words.STATES else ""
        self._ticket = query.get("ticket", "")[:255]
        self._cursor = query.get("cursor", "")[:255]
        self._open = query.get("delivery", "")[:64]
        self._past: list[str] = []

    def _address(self, **changes: str | None) -> str:
        now: dict[str, str | None] = {
            "state": self._state,
            "ticket": self._ticket,
            "cursor": self._cursor,
            "delivery": self._open,
        }
        return self._frame.address(**(now | changes))

    def _go(self, *, cursor: str, past: list[str]) -> None:
        self._cursor, self._past = cursor, past
        self._frame.browser.address = self._address()

    async def _on_action(self, action: str, value: str) -> None:
        if action == "open":
            self._open = value
            self._sheet.draw(waiting_sheet())
        elif action == "close":
            self._open = ""
            self._sheet.draw(h("div"))
        elif action == "older" and self._page and self._page.next:
            self._go(cursor=self._page.next, past=[*self._past, self._cursor])
        elif action == "newer":
            self._go(cursor=self._past[-1] if self._past else "", past=self._past[:-1])
        elif action == "clear":
            self._state_select.value, self._ticket_input.value = "", ""
            return
        self._frame.browser.address = self._address()
        await self.refresh()

    async def _on_filter(self, _: Any) -> None:
        chosen = (self._state_select.value or "", (self._ticket_input.value or "").strip())
        if chosen == (self._state, self._ticket):
            return
        self._state, self._ticket = chosen
        self._go(cursor="", past=[])
        await self.refresh()

    async def _on_tenant(self) -> None:
        self._open = ""
        self._forget()
        self._go(cursor="", past=[])
        self._draw()
        await self.refresh()

    def _forget(self) -> None:
        """Drop what was fetched: it may be another tenant's."""
        self._page, self._connections = None, None
        self._runs.clear()

    async def _on_browser(self, name: str, value: str) -> None:
        if name == "visible":
            self._visible = bool(value)
            await self._tick()
        elif name == "address":
            self._forget()
            self._read_address()
            self._frame.browser.address = value
            self._state_select.value, self._ticket_input.value = self._state, self._ticket
            await self.refresh()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _state_options() -> dict[str, str]:
    return {ANY_STATE: ""} | {name: state for state, (name, _, _) in words.STATES.items()}
