"""The live list of deliveries, and one of them in detail."""

from __future__ import annotations

import logging
from typing import ClassVar
from uuid import UUID

import msgspec
from panel_material_ui.template.base import Page

from aiops_admin import words
from aiops_admin.client import ApiError
from aiops_admin.pages.delivery_detail import Shown, detail_sheet, missing_sheet, refused_sheet, waiting_sheet
from aiops_admin.pages.delivery_list import Listing, delivery_list
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import ListPage, id_of
from aiops_admin.pages.replay import Replay
from aiops_admin.safe import Node, h
from aiops_admin.wire import Connection, DeliveryDetail, DeliveryPage, RunDetail

log = logging.getLogger(__name__)

NOT_FOUND = 404


def build(frame: Frame) -> Page:
    """Return the page."""
    return DeliveriesPage(frame).contents()


class DeliveriesPage(ListPage):
    """One open list: its filters, its place in the pages, and the delivery that is open."""

    choice, choice_label, item = "state", "State", "delivery"
    choices: ClassVar[dict[str, str]] = {"All states": ""} | {
        name: state for state, (name, _, _) in words.STATES.items()
    }

    def __init__(self, frame: Frame) -> None:
        """Take filters, place and open delivery from the address."""
        super().__init__(frame)
        self._connections: tuple[Connection, ...] | None = None
        self._page: DeliveryPage | None = None
        self._runs: dict[UUID, RunDetail] = {}
        self._replay = Replay(frame, self.refresh)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        page = super().contents()
        page.main.append(self._replay.view)
        return page

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the page after the one shown."""
        return self._page.next if self._page else None

    async def fetch(self) -> None:
        """Fetch and show the list and, if one is open, the delivery."""
        await self._fetch_list()
        if not self.frame.away:
            await self._fetch_open()

    async def _fetch_list(self) -> None:
        if self.frame.tenant is None:
            self.draw()
            return
        query = self.query()
        try:
            answer = await self.frame.ask(lambda: self.api.deliveries(self.frame.token, query))
        except ApiError as error:
            self.refused(error)
            return
        if query != self.query():
            return
        if answer is not None:
            self._page = answer
            if not answer.items and self._connections is None:
                await self._fetch_connections()
        self.draw()

    async def _fetch_connections(self) -> None:
        try:
            self._connections = await self.frame.ask(lambda: self.api.connections(self.frame.token, self.frame.tenant))
        except ApiError as error:
            log.info("the connections are refused: %s", error)

    async def _fetch_open(self) -> None:
        if not self.opened:
            self.open_view.draw(h("div"))
            return
        wanted, known = self.opened, id_of(self.opened)
        try:
            sheet = missing_sheet() if known is None else await self._fetch_sheet(known)
        except ApiError as error:
            sheet = missing_sheet() if error.status == NOT_FOUND else refused_sheet(str(error))
        if sheet is not None and wanted == self.opened:
            self.open_view.draw(sheet)

    async def _fetch_sheet(self, wanted: UUID) -> Node | None:
        found = await self.frame.ask(lambda: self.api.delivery(self.frame.token, wanted, self.frame.tenant))
        if found is None:
            return None
        await self._fetch_runs(found)
        shown = Shown(
            # What a run wrote stays as it is; what became of its note does not.
            runs=[msgspec.structs.replace(self._runs[run.id], run=run) for run in found.runs if run.id in self._runs],
            link=lambda run_id: self.frame.link("/runs", id=str(run_id)),
            may_replay=self.frame.may_work and words.replayable(found.delivery),
        )
        return detail_sheet(found, shown)

    async def _fetch_runs(self, detail: DeliveryDetail) -> None:
        for run in detail.runs:
            if run.id not in self._runs:
                answer = await self.frame.ask(
                    lambda wanted=run.id: self.api.run(self.frame.token, wanted, self.frame.tenant)  # type: ignore[misc]
                )
                if answer is not None:
                    self._runs[run.id] = answer

    def draw(self) -> None:
        """Draw the list from what was fetched last."""
        self.list_view.draw(
            delivery_list(
                Listing(
                    page=self._page,
                    has_tenant=self.frame.tenant is not None,
                    unknown_tenant=self.frame.unknown,
                    filtered=self.filtered,
                    first=not self.place.cursor,
                    live=not self.frame.away,
                    connections=self._connections,
                    webhook_base=self.frame.parts.settings.webhook_base,
                    connect=self.frame.link("/connections") if self.frame.may_manage else None,
                    link=lambda delivery_id: self.address(delivery=delivery_id),
                )
            )
        )

    def draw_opening(self) -> None:
        """Draw a sheet that is being filled."""
        self.open_view.draw(waiting_sheet())

    def forget(self) -> None:
        """Drop what was fetched: it may be another tenant's."""
        self._page, self._connections = None, None
        self._runs.clear()
        self._replay.close()

    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked."""
        if action == "replay":
            self._replay.ask(self.opened)
        else:
            await super().on_action(action, value)
