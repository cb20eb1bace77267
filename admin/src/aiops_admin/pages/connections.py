"""Connections: made from the ticketing tool's schema, tested, their webhook addresses looked after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import panel as pn
from panel_material_ui.template.base import Page

from aiops_admin import words
from aiops_admin.client import ApiError
from aiops_admin.doors import Doors
from aiops_admin.pages import connection_view as views
from aiops_admin.pages.forms import Asked, changes_of, entered, fields_of, values_of
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import FILTER_STYLE, DialogPage, id_of
from aiops_admin.safe import Node, View, h
from aiops_admin.wire_doors import Connection, Explanation, TicketingTool

T = TypeVar("T")
SIMPLE = ("new", "change", "rotate", "networks", "delete")
"""Buttons that open a question."""


def build(frame: Frame) -> Page:
    """Return the page."""
    return ConnectionsPage(frame).contents()


@dataclass(slots=True)
class Known:
    """What the host answered last, and what is open."""

    connections: tuple[Connection, ...] | None = None
    tools: tuple[TicketingTool, ...] = ()
    opened: UUID | None = None
    explained: Explanation | None = None
    tool: TicketingTool | None = None
    made: UUID | None = None

    @property
    def connection(self) -> Connection | None:
        """The connection whose sheet is open."""
        return next((c for c in self.connections or () if c.id == self.opened), None)


class ConnectionsPage(DialogPage):
    """The tenant's connections, and the sheet of one of them."""

    period = 3000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page, and the open connection from the address."""
        super().__init__(frame)
        self._known = Known(opened=id_of(frame.query.get("connection", "")))
        self._list = View(on_action=self.on_action, sizing_mode="stretch_width", margin=0)
        self._sheet = View(on_action=self.on_action, margin=0)

    @property
    def doors(self) -> Doors:
        """The host's API for the person in the chosen tenant."""
        return Doors(self.api, self.frame.token, self.frame.tenant)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self.begin()
        self._draw()
        filters = pn.Row(self.frame.tenants, styles=FILTER_STYLE, margin=0, visible=len(self.frame.me.tenants) > 1)
        return self.frame.show(filters, self._list, self._sheet, self.dialog)

    async def fetch(self) -> None:
        """Fetch the list, and what is known of the open connection."""
        known, doors = self._known, self.doors
        if self.frame.tenant is None:
            return
        try:
            found = await self.frame.ask(doors.connections)
            known.connections = known.connections if found is None else found
            if (opened := known.connection) is not None and not self.frame.away:
                known.explained = await self.frame.ask(lambda: doors.explain(opened.id)) or known.explained
        except ApiError as error:
            self.frame.warn(f"Connections cannot be shown in full: {error}")
        if known is self._known:
            self._draw()

    async def on_tenant(self) -> None:
        """Forget what was the tenant's before."""
        self._known = Known()
        self.put(None)
        self._write_address()
        self._draw()
        await self.refresh()

    async def on_address(self) -> None:
        """Take over the address after back or forward."""
        self._known = Known(opened=id_of(self.frame.query.get("connection", "")))
        self.put(None)
        await self.refresh()

    def _draw(self) -> None:
        known, manage = self._known, self.frame.may_manage
        self._list.draw(
            views.connection_list(
                known.connections, may_manage=manage, tenant=self.frame.tenant, unknown=self.frame.unknown
            )
        )
        opened = known.connection
        if opened is None:
            self._sheet.draw(h("div"))
        else:
            self._sheet.draw(views.connection_sheet(opened, known.explained, may_manage=manage))

    def _write_address(self) -> None:
        opened = self._known.opened
        self.frame.browser.address = self.frame.address(connection=str(opened) if opened else None)

    async def on_action(self, action: str, value: str) -> None:
        """Do what somebody clicked or entered."""
        if action in ("open", "close"):
            await self._open(id_of(value))
        elif action == "cancel":
            self.put(None)
        elif action in SIMPLE or action == "tool":
            await self._question(Asked(what=action), value)
        else:
            await self._act(action, entered(value))

    async def _open(self, connection_id: UUID | None) -> None:
        self._known.opened, self._known.explained = connection_id, None
        self._write_address()
        self._draw()
        await self.refresh()

    async def _question(self, asked: Asked, value: str = "") -> None:
        """Open a question, or draw it again with what was wrong."""
        known, opened = self._known, self._known.connection
        if not known.tools:
            known.tools = await self._asked_host(self.doors.tools, "") or ()
        if asked.what == "new" and len(known.tools) > 1:
            self.put(views.tool_question(known.tools, asked))
        elif asked.what in ("new", "tool", "create"):
            wanted = entered(value).get("tool") or (known.tool.name if known.tool else "")
            known.tool = next((t for t in known.tools if t.name == wanted), next(iter(known.tools), None))
            self.put(views.new_question(known.tool, asked) if known.tool else None)
        elif opened is not None:
            tool = next((t for t in known.tools if t.name == opened.ticketing_tool), None)
            self.put(self._about(opened, tool, asked))

    def _about(self, opened: Connection, tool: TicketingTool | None, asked: Asked) -> Node | None:
        match asked.what:
            case "change" if tool is not None:
                return views.change_question(opened, tool, asked)
            case "rotate":
                return views.rotate_question(asked)
            case "networks" if self._known.explained is not None:
                return views.networks_question(self._known.explained.endpoint, asked)
            case "delete":
                return views.delete_question(opened, asked)
        return None

    async def _act(self, action: str, given: dict[str, str]) -> None:
        known, doors = self._known, self.doors
        if action == "create" and known.tool is not None:
            await self._create(known.tool, given)
        elif action == "test-new" and known.made is not None:
            self.put(None)
            known.opened = known.made
            self._write_address()
            await self._test(known.made)
        elif (opened := known.connection) is not None:
            id_ = opened.id
            acts: dict[str, Callable[[], Awaitable[Any]]] = {
                "pause": lambda: doors.pause(id_, resume=False),
                "resume": lambda: doors.pause(id_, resume=True),
                "end-overlap": lambda: doors.end_overlap(id_),
                "networks-now": lambda: doors.set_networks(id_, given.get("networks", "").split()),
                "delete-now": lambda: doors.delete_connection(id_, given.get("typed", "")),
                "config": lambda: doors.change_config(id_, self._changes(opened, given)),
            }
            if action == "test":
                await self._test(id_)
            elif action == "rotate-now":
                hours = given.get("hours", "")
                made = await self._asked_host(lambda: doors.rotate(id_, float(hours) if hours else None), "rotate")
                self.put(views.rotated_dialog(made) if made else None)
            elif action in acts and await self._done(acts[action], action):
                self.put(None)
                if action == "config":
                    await self._test(id_)
        await self.refresh()

    async def _create(self, tool: TicketingTool, given: dict[str, str]) -> None:
        new = {
            "name": given.get(":name", ""),
            "ticketing_tool": tool.name,
            "config": values_of(fields_of(tool.schema), given),
            "link_hosts": given.get(":link_hosts", "").split(),
        }
        made = await self._asked_host(lambda: self.doors.create_connection(new), "create")
        if made is not None:
            self._known.made = made.connection_id
            self.put(views.created_dialog(made))

    async def _test(self, connection_id: UUID) -> None:
        await self._asked_host(lambda: self.doors.test(connection_id), "")

    def _changes(self, opened: Connection, given: dict[str, str]) -> dict[str, Any]:
        tool = next(t for t in self._known.tools if t.name == opened.ticketing_tool)
        return changes_of(fields_of(tool.schema), given, opened.config)

    def _titles(self, question: str) -> dict[str, str]:
        """Return what the form calls the fields of the ticketing tool it asks about."""
        known = self._known
        opened = known.connection.ticketing_tool if known.connection else ""
        tool = known.tool if question == "create" else next((t for t in known.tools if t.name == opened), None)
        return {field.path: field.title for field in fields_of(tool.schema)} if tool else {}

    async def _done(self, call: Callable[[], Awaitable[Any]], action: str) -> bool:
        """Return whether the host did it; if not, the question says why."""
        question = {"networks-now": "networks", "delete-now": "delete", "config": "change"}.get(action, "")

        async def asked() -> bool:
            await call()
            return True

        return bool(await self._asked_host(asked, question))

    async def _asked_host(self, call: Callable[[], Awaitable[T]], question: str) -> T | None:
        try:
            return await self.frame.ask(call)
        except ApiError as error:
            if question:
                told = words.refusal_of(error.fields, self._titles(question)) or str(error)
                await self._question(Asked(what=question, refusal=told, wrong=error.fields))
            else:
                self.frame.warn(str(error))
            return None
