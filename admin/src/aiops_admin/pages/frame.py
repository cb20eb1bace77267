"""What every page has around it: header, tenant, theme, banners, and what happens when something goes wrong."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import panel as pn
from panel_material_ui.template.base import Page
from panel_material_ui.widgets import Select

from aiops_admin import words
from aiops_admin.auth import Principal
from aiops_admin.browser import Browser
from aiops_admin.client import ApiAway, NotLoggedIn
from aiops_admin.parts import Parts
from aiops_admin.safe import Node, View, h
from aiops_admin.wire import Me, Tenant

log = logging.getLogger(__name__)

ASSETS = Path(__file__).parents[1] / "assets"
TITLE = "AI Ops"
MAX_FIELDS, MAX_SLUG = 50, 64
FAVICON = "/favicon.svg"
NO_TENANT = "—"
PAGES = {
    "/deliveries": "Deliveries",
    "/runs": "Runs",
    "/connections": "Connections",
    "/models": "Models",
    "/people": "People",
    "/tenants": "Tenants",
    "/health": "Health",
    "/plugins": "Plugins",
}
"""Address and name of each page, in the order they are offered."""
FOR_OPERATORS = frozenset({"/tenants"})
"""Pages that show something to platform administrators only."""
FOR_ADMINS = frozenset({"/people"})
"""Pages that show something to administrators of the chosen tenant only."""
APP_BAR = {"backgroundColor": "#131c31", "backgroundImage": "none", "color": "#ffffff", "boxShadow": "none"}
THEME: dict[str, Any] = {
    "typography": {"fontFamily": "Roboto, system-ui, sans-serif", "h3": {"fontSize": "1.15rem", "fontWeight": 600}},
    "shape": {"borderRadius": 8},
    "components": {
        "MuiAppBar": {"styleOverrides": {"root": APP_BAR}},
    },
}
LIGHT = {**THEME, "palette": {"primary": {"main": "#3b5bdb"}, "background": {"default": "#f4f6fb", "paper": "#ffffff"}}}
DARK = {**THEME, "palette": {"primary": {"main": "#8ea6ff"}, "background": {"default": "#0f1522", "paper": "#182134"}}}
FIELD: dict[str, Any] = {"size": "small", "margin": 0, "sx": {"& .MuiInputBase-root": {"height": "36px"}}}
"""How the small fields above a list look."""
STYLE = """
.main { background-color: var(--panel-background-color) !important; }
.header .MuiCircularProgress-root { display: none; }
"""
"""Pages follow the work every few seconds, so a busy mark would blink all the time; the linear one also leaves a gap."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who opened a page, and the query of the address it was opened at."""

    principal: Principal
    query: str
    path: str


class Frame:
    """One open page: who sees it, which tenant it is about, and its way to the host."""

    def __init__(self, parts: Parts, visit: Visit) -> None:
        """Build the header for the person."""
        self.parts = parts
        self.me: Me = visit.principal.me
        self.query = read_query(visit.query)
        self.token = visit.principal.token
        self.tenant, self.unknown = self._tenant_of(self.query)
        dark = visit.principal.theme == "dark"
        address = f"?{visit.query}" if visit.query else ""
        self.browser = Browser(
            address=address, dark=dark, themed=bool(visit.principal.theme), width=0, height=0, margin=0
        )
        self.banner = View(sizing_mode="stretch_width", margin=0)
        self._path = visit.path
        self._pages = View(sizing_mode="stretch_width", margin=0)
        self.away = False
        self._names = {tenant.slug: tenant.slug for tenant in self.me.tenants}
        self.tenants = self._tenant_select()
        self._tenant_listeners: list[Callable[[], Any]] = []
        self._page = Page(
            title=TITLE,
            favicon=FAVICON,
            logo=ASSETS / "favicon.svg",
            dark_theme=dark,
            theme_config={"light": LIGHT, "dark": DARK},
            busy_indicator="circular",
            stylesheets=[STYLE],
            header=[pn.Spacer(sizing_mode="stretch_width"), self._account(visit.principal)],
        )
        self._page.param.watch(lambda event: setattr(self.browser, "dark", event.new), "dark_theme")
        self.browser.listen(self._on_browser)

    def show(self, *contents: Any) -> Page:
        """Return the page with its contents."""
        self._draw_pages()
        self._page.main = [self.browser, self._pages, self.banner, *contents]
        return self._page

    def on_tenant(self, listener: Callable[[], Any]) -> None:
        """Call ``listener`` when the person chose another tenant."""
        self._tenant_listeners.append(listener)

    def address(self, **query: str | None) -> str:
        """Return the query of an address on this page, the chosen tenant included."""
        chosen = self.tenant if len(self.me.tenants) > 1 else None
        given = {"tenant": self.unknown or chosen, **query}
        kept = {name: value for name, value in given.items() if value}
        return "?" + urlencode(kept) if kept else ""

    def link(self, path: str, **query: str | None) -> str:
        """Return the address of another page, the chosen tenant included."""
        return path + self.address(**query)

    @property
    def role(self) -> str:
        """What the person is in the chosen tenant; empty without one."""
        return "platform-admin" if self.me.platform_admin else self._role()

    @property
    def may_work(self) -> bool:
        """Whether the person may have deliveries run again; the API asks for itself."""
        return self.role in {"platform-admin", "tenant-admin", "technician"}

    @property
    def may_manage(self) -> bool:
        """Whether the person may change connections; the API asks for itself."""
        return self.role in {"platform-admin", "tenant-admin"}

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Return the host's answer; ``None`` after saying why there is none, or after sending the person to log in."""
        try:
            answer = await call()
        except NotLoggedIn:
            self.parts.people.forget(self.token)
            self.browser.reload()
            return None
        except ApiAway as error:
            log.warning("the host does not answer: %s", error)
            self.away = True
            self.warn("AI Ops is not answering. What you see may be old; this page tries again by itself.")
            return None
        self.away = False
        self.warn(None)
        return answer

    async def load(self) -> None:
        """Fetch what the header shows: a platform administrator sees tenants by their names."""
        if not self.me.platform_admin:
            return
        known = await self.ask(lambda: self.parts.api.tenants(self.token))
        if known:
            self._name_tenants(known)

    def _tenant_of(self, query: dict[str, str]) -> tuple[str | None, str | None]:
        """Return the tenant an address is about, the first where it names none, and the name that is none of theirs."""
        slugs = [tenant.slug for tenant in self.me.tenants]
        wanted = query.get("tenant")
        if wanted and slugs and wanted not in slugs:
            return None, wanted[:MAX_SLUG]
        return wanted or next(iter(slugs), None), None

    def _tenant_select(self) -> Select:
        several = len(self.me.tenants) > 1
        options, value = self._tenant_options(), self.tenant or ""
        select = Select(label="Tenant", options=options, value=value, visible=several, width=250, **FIELD)
        select.param.watch(self._on_tenant, "value")
        return select

    def _tenant_options(self) -> dict[str, str]:
        """Return the tenants by name; the select takes the first for a value it does not offer."""
        return ({NO_TENANT: ""} if self.unknown else {}) | self._names

    def _offer_tenants(self) -> None:
        options, value = self._tenant_options(), self.tenant or ""
        if options == self.tenants.options:
            self.tenants.value = value
            return
        self.tenants.param.update(options=options, value=value)
        # The chosen one is sent by its label, which may have changed though the value has not.
        self.tenants.param.trigger("value")

    def _name_tenants(self, known: Sequence[Tenant]) -> None:
        names = Counter(tenant.name for tenant in known)
        options = {t.name if names[t.name] == 1 else f"{t.name} ({t.slug})": t.slug for t in known}
        if self.tenant is None or self.tenant in options.values():
            self._names = options
            self._offer_tenants()

    def _draw_pages(self) -> None:
        links = (
            h("a", name, href=self.link(path), aria_current="page" if path == self._path else None, key=path)
            for path, name in PAGES.items()
            if self._may_see(path)
        )
        self._pages.draw(h("nav", *links, class_="pages", aria_label="Dashboard"))

    def _may_see(self, path: str) -> bool:
        return self.me.platform_admin or (path not in FOR_OPERATORS and (self.may_manage or path not in FOR_ADMINS))

    def _account(self, principal: Principal) -> View:
        role = self.role
        view = View(margin=0)
        view.draw(
            h(
                "div",
                h("div", h("b", self.me.email), h("small", words.ROLES.get(role, role)), class_="who"),
                h("a", "Account", href="/account"),
                h(
                    "form",
                    h("input", type="hidden", name="_xsrf", value=principal.xsrf),
                    h("button", "Log out", type="submit"),
                    method="post",
                    action="/logout",
                ),
                class_="account",
            )
        )
        return view

    def _role(self) -> str:
        return next((tenant.role for tenant in self.me.tenants if tenant.slug == self.tenant), "")

    def warn(self, text: str | None) -> None:
        """Show a banner, or take it away."""
        self.banner.draw(h("div") if text is None else notice("warning", text))

    async def _on_tenant(self, event: Any) -> None:
        if not event.new or event.new == self.tenant:
            return
        self.tenant, self.unknown = event.new, None
        self._offer_tenants()
        self._draw_pages()
        for listener in self._tenant_listeners:
            await listener()

    def _on_browser(self, name: str, value: str) -> None:
        if name == "theme":
            self._page.dark_theme = value == "dark"
        elif name == "address":
            self.query = read_query(value)
            self.tenant, self.unknown = self._tenant_of(self.query)
            self._offer_tenants()
            self._draw_pages()


def page(parts: Parts, path: str, build: Callable[[Frame], Page]) -> Callable[[], Page]:
    """Return the function Bokeh calls for each visit of ``path``; ``build`` returns the page's contents."""

    def open_page() -> Page:
        document: Any = pn.state.curdoc
        context = document.session_context
        principal: Principal = context.request.principal
        document.on_session_destroyed(lambda ended: parts.pages.close(ended.id))
        try:
            frame = Frame(parts, Visit(principal, context.request.query, path))
            contents = build(frame)
        except Exception:  # isolation: a page that cannot be built says so instead of staying empty
            log.exception("a page cannot be built")
            parts.pages.open(context.id, principal.token, _stay)
            return broken_page()
        parts.pages.open(context.id, principal.token, lambda: document.add_next_tick_callback(frame.browser.reload))
        return contents

    return open_page


def broken_page() -> Page:
    """Return a page that says that this one failed."""
    view = View(sizing_mode="stretch_width")
    view.draw(notice("error", "This page could not be built. The dashboard's log says why; reloading may help."))
    return Page(title=TITLE, favicon=FAVICON, main=[view])


def notice(tone: str, text: str, *more: Node) -> Node:
    """Return a banner."""
    return h("div", h("p", text), *more, class_=f"notice tone-{tone}", role="alert" if tone == "error" else "status")


def read_query(query: str) -> dict[str, str]:
    """Return the parameters of an address's query, the last of each name."""
    try:
        return dict(parse_qsl(query.lstrip("?"), max_num_fields=MAX_FIELDS))
    except ValueError:
        return {}


def _stay() -> None:
    """A page without live parts needs no sending away."""
