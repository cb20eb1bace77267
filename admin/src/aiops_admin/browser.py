"""What a page asks of the browser itself: its address, a reload, the remembered theme, news of a lost connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import panel as pn
import param
from panel.custom import JSComponent

ASSETS = Path(__file__).parent / "assets"

Listener = Callable[[str, str], Any]


class Browser(JSComponent):
    """Invisible, once per page. ``listen`` hears of ``address`` (back and forward), ``visible`` and ``theme``."""

    address = param.String(doc="The query of the page's address, with its question mark; empty for none.")
    reloads = param.Integer(default=0, doc="Raised by one to load the page anew.")
    dark = param.Boolean(default=False, doc="The theme to remember.")
    themed = param.Boolean(default=False, doc="Whether the person has chosen a theme before.")

    _esm = (ASSETS / "browser.js").read_text()
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "browser.css").read_text()]

    def __init__(self, **params: Any) -> None:
        """Start without listeners."""
        super().__init__(**params)  # type: ignore[no-untyped-call]
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call ``listener``, a function or coroutine function, with each event's name and value."""
        self._listeners.append(listener)

    def reload(self) -> None:
        """Load the page anew, at the address it shows now."""
        self.reloads += 1

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        name, value = str(data.get("name", "")), str(data.get("value", ""))
        for listener in self._listeners:
            pn.state.execute(partial(listener, name, value))
