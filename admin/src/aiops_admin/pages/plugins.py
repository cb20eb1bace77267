"""The installed plugins: what each contributes, and why one does not load."""

from __future__ import annotations

from collections.abc import Iterable

from panel_material_ui.template.base import Page

from aiops_admin.client import ApiError
from aiops_admin.pages.bits import cells, chip, empty, heading, skeleton, table
from aiops_admin.pages.frame import Frame
from aiops_admin.pages.live import LivePage
from aiops_admin.safe import Node, View, h
from aiops_admin.wire import Plugin

COLUMNS = ("Plugin", "Distribution", "Status", "Contributes")
STATUSES = {
    "loaded": ("Loaded", "success", "What it contributes can be used."),
    "blocked": ("Blocked", "neutral", "The installation is set not to load it."),
    "failed": ("Failed", "error", "It did not load; everything else works without it."),
}


def build(frame: Frame) -> Page:
    """Return the page."""
    return PluginsPage(frame).contents()


class PluginsPage(LivePage):
    """The list of plugins; plugins change with a restart only, so it is asked for seldom."""

    period = 15_000

    def __init__(self, frame: Frame) -> None:
        """Take what is around the page."""
        super().__init__(frame)
        self._view = View(sizing_mode="stretch_width", margin=0)

    def contents(self) -> Page:
        """Return the page; what it shows is fetched once the browser is there."""
        self.begin()
        self._view.draw(plugin_list(None))
        return self.frame.show(self._view)

    async def fetch(self) -> None:
        """Fetch and show the plugins."""
        try:
            answer = await self.frame.ask(lambda: self.api.plugins(self.frame.token))
        except ApiError as error:
            self.frame.warn(f"The plugins cannot be shown: {error}")
            return
        if answer is not None:
            self._view.draw(plugin_list(answer))

    async def on_tenant(self) -> None:
        """Plugins belong to the installation, whichever tenant is chosen."""


def plugin_list(plugins: tuple[Plugin, ...] | None) -> Node:
    """Return the whole list."""
    if plugins is None:
        return h("div", heading("Plugins"), skeleton(), class_="list", aria_busy="true")
    if not plugins:
        text = (
            "No plugin is installed, so no ticketing tool can be connected. Install one beside AI Ops and restart it:"
        )
        return h(
            "div",
            heading("Plugins"),
            empty("No plugin yet", text, h("pre", "pip install <its distribution>")),
            class_="list",
        )
    failed = [plugin.name for plugin in plugins if plugin.status == "failed"]
    told = None
    if failed:
        advice = f"{_listed(failed)} did not load. Mend or uninstall it, then restart host and worker."
        told = h("p", advice, class_="notice tone-error")
    rows = [_row(plugin) for plugin in plugins]
    return h(
        "div", heading("Plugins"), told, table("Installed plugins by name", COLUMNS, rows, "plugins"), class_="list"
    )


def _row(plugin: Plugin) -> Node:
    name, tone, sentence = STATUSES.get(plugin.status, (plugin.status, "neutral", ""))
    values = (
        h("b", plugin.name),
        h("div", plugin.distribution, h("small", plugin.version)),
        chip(name, tone, sentence),
        h("div", plugin.error, class_="notice tone-error") if plugin.error else _contributions(plugin.contributes),
    )
    return h("tr", *cells(COLUMNS, values), key=plugin.name)


def _contributions(contributes: Iterable[str]) -> Node:
    """Group what is contributed by its kind: each entry is a kind's words and, last, a name."""
    kinds: dict[str, list[str]] = {}
    for entry in contributes:
        kind, _, name = entry.rpartition(" ")
        kinds.setdefault(kind or "other", []).append(name)
    if not kinds:
        return h("span", "Nothing yet", class_="quiet")
    return h(
        "div",
        *(
            h("div", h("small", _plural(kind, len(names))), h("span", *_tags(names), class_="tags"), class_="kind")
            for kind, names in kinds.items()
        ),
        class_="kinds",
    )


def _tags(names: Iterable[str]) -> list[Node]:
    return [h("code", name, class_="tag") for name in names]


def _plural(kind: str, count: int) -> str:
    return kind[:1].upper() + kind[1:] + ("s" if count > 1 else "")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
