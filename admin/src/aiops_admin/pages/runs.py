"""The live list of runs, and one of them in detail."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from panel_material_ui.template.base import Page

from aiops_admin import words
from aiops_admin.client import ApiError
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import ListPage, id_of
from aiops_admin.pages.run_detail import missing_run, refused_run, run_detail, waiting_run
from aiops_admin.pages.run_list import Listing, run_list
from aiops_admin.safe import Node, h
from aiops_admin.wire import RunPage

NOT_FOUND = 404


def build(frame: Frame) -> Page:
    """Return the page."""
    return RunsPage(frame).contents()


class RunsPage(ListPage):
    """One open list of runs, or one run in its place."""

    choice, choice_label, item = "outcome", "Outcome", "id"
    choices: ClassVar[dict[str, str]] = {"All outcomes": ""} | {
        name: outcome for outcome, (name, _, _) in words.RUNS.items()
    }

    def __init__(self, frame: Frame) -> None:
        """Take filters, place and open run from the address."""
        super().__init__(frame)
        self._page: RunPage | None = None
        if self.opened:
            self.draw_opening()

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the page after the one shown."""
        return self._page.next if self._page else None

    async def fetch(self) -> None:
        """Fetch and show the open run, or the list."""
        if self.opened:
            await self._fetch_open(self.opened)
        else:
            self.open_view.draw(h("div"))
            await self._fetch_list()

    async def _fetch_list(self) -> None:
        query = self.query()
        if self.frame.tenant is not None:
            try:
                answer = await self.frame.ask(lambda: self.api.runs(self.frame.token, query))
            except ApiError as error:
                self.refused(error)
                return
            if query != self.query() or self.opened:
                return
            self._page = answer or self._page
        self.draw()

    async def _fetch_open(self, wanted: str) -> None:
        back, known = self.address(id=None), id_of(wanted)
        try:
            shown = missing_run(back) if known is None else await self._fetch_run(known, back)
        except ApiError as error:
            shown = missing_run(back) if error.status == NOT_FOUND else refused_run(back, str(error))
        if shown is not None and wanted == self.opened:
            self.draw()
            self.open_view.draw(shown)

    async def _fetch_run(self, wanted: UUID, back: str) -> Node | None:
        found = await self.frame.ask(lambda: self.api.run(self.frame.token, wanted, self.frame.tenant))
        if found is None:
            return None
        delivery = self.frame.link("/deliveries", delivery=str(found.run.delivery_id))
        return run_detail(found, back=back, delivery=delivery, others=self._others(found.run.ticket_id))

    def _others(self, ticket_id: str) -> str:
        return self.frame.link("/runs", ticket=ticket_id)

    def draw(self) -> None:
        """Draw the list from what was fetched last; nothing while a run is open."""
        self.filters.visible = not self.opened
        if self.opened:
            self.list_view.draw(h("div"))
            return
        self.list_view.draw(
            run_list(
                Listing(
                    page=self._page,
                    has_tenant=self.frame.tenant is not None,
                    unknown_tenant=self.frame.unknown,
                    filtered=self.filtered,
                    first=not self.place.cursor,
                    live=not self.frame.away,
                    link=lambda run_id: self.address(id=run_id),
                    deliveries=self.frame.link("/deliveries"),
                )
            )
        )

    def draw_opening(self) -> None:
        """Draw a run that is being fetched."""
        self.open_view.draw(waiting_run(self.address(id=None)))
        self.draw()

    def forget(self) -> None:
        """Drop what was fetched: it may be another tenant's."""
        self._page = None
