"""How well it goes: figures with their goals, connections, workers, tenants and the host's parts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import panel as pn
from panel_material_ui.template.base import Page

from aiops_admin.client import ApiError
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.health_view import Seen, health_view
from aiops_admin.pages.live import FILTER_STYLE, LivePage
from aiops_admin.safe import View
from aiops_admin.wire import ConnectionHealth, InstallationFigures, Readiness, TenantFigures


def build(frame: Frame) -> Page:
    """Return the page."""
    return HealthPage(frame).contents()


@dataclass(slots=True)
class Answers:
    """What the host answered last."""

    readiness: Readiness | None = None
    tenant: TenantFigures | None = None
    connections: tuple[ConnectionHealth, ...] | None = None
    installation: InstallationFigures | None = None


class HealthPage(LivePage):
    """The figures of the chosen tenant and, for platform administrators, of the installation."""

    period = 5000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page."""
        super().__init__(frame)
        self._answers = Answers()
        self._view = View(on_action=self._on_action, sizing_mode="stretch_width", margin=0)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self.begin()
        self._draw()
        filters = pn.Row(self.frame.tenants, styles=FILTER_STYLE, margin=0, visible=len(self.frame.me.tenants) > 1)
        return self.frame.show(filters, self._view)

    async def fetch(self) -> None:
        """Fetch and show everything the person may see."""
        token, tenant, now = self.frame.token, self.frame.tenant, self._answers
        try:
            now.readiness = await self.frame.ask(lambda: self.api.health(token)) or now.readiness
            if tenant is not None and not self.frame.away:
                now.tenant = await self.frame.ask(lambda: self.api.figures(token, tenant)) or now.tenant
                connections = await self.frame.ask(lambda: self.api.connections_health(token, tenant))
                now.connections = now.connections if connections is None else connections
            if self.frame.me.platform_admin and not self.frame.away:
                now.installation = await self.frame.ask(lambda: self.api.installation(token)) or now.installation
        except ApiError as error:
            self.frame.warn(f"Health cannot be shown in full: {error}")
        if now is self._answers:
            self._draw()

    async def on_tenant(self) -> None:
        """Forget what was the tenant's before."""
        self._answers = Answers(readiness=self._answers.readiness, installation=self._answers.installation)
        self.frame.browser.address = self.frame.address()
        self._draw()
        await self.refresh()

    def _draw(self) -> None:
        now = self._answers
        self._view.draw(
            health_view(
                Seen(
                    readiness=now.readiness,
                    tenant=self.frame.tenant,
                    unknown_tenant=self.frame.unknown,
                    figures=now.tenant,
                    connections=now.connections,
                    installation=now.installation,
                    operator=self.frame.me.platform_admin,
                    may_manage=self.frame.may_manage,
                    live=not self.frame.away,
                    troubled=lambda state: self.frame.link("/deliveries", state=state),
                )
            )
        )

    async def _on_action(self, action: str, value: str) -> None:
        if action == "resume":
            await self._resume(UUID(value))
        elif action == "tenant" and value in {tenant.slug for tenant in self.frame.me.tenants}:
            self.frame.tenants.value = value

    async def _resume(self, connection_id: UUID) -> None:
        token, tenant = self.frame.token, self.frame.tenant
        try:
            await self.frame.ask(lambda: self.api.resume(token, connection_id, tenant))
        except ApiError as error:
            self.frame.warn(f"The connection was not resumed: {error}")
            return
        await self.refresh()
