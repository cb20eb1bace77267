"""The one way untrusted text reaches a page: a tree of elements whose text the browser never reads as markup.

Pages build trees with :func:`h` and show them in a :class:`View`. Its script makes every node with ``createElement``
and ``textContent`` and knows a fixed list of elements and attributes, so no text can become an element, an attribute
or a script.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias
from urllib.parse import urlsplit

import panel as pn
import param
from panel.custom import JSComponent

Node: TypeAlias = "str | dict[str, Any]"

ASSETS = Path(__file__).parent / "assets"


def h(tag: str, *children: Node | None, key: str | None = None, **attributes: object) -> Node:
    """Return an element.

    Args:
        tag: One of the elements that ``view.js`` lists.
        children: Elements and plain text; ``None`` is left out.
        key: Names the element among its siblings, so that it stays the same one when they change.
        attributes: By name, ``class_`` and ``for_`` with their underscore, others with ``_`` for ``-``;
            ``None`` and ``False`` are left out.
    """
    named = {
        _name(name): _text(value) for name, value in attributes.items() if value is not None and value is not False
    }
    return {"t": tag, "k": key, "a": named, "c": [child for child in children if child is not None]}


def safe_link(url: str | None) -> str | None:
    """Return ``url`` if it is an http or https address, else ``None``."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc else None


class View(JSComponent):
    """Shows a tree; what people do with it arrives at ``on_action`` as an action's name and its value."""

    tree = param.Dict(default={"t": "div", "k": None, "a": {}, "c": []}, doc="What is shown, made by h().")

    _esm = (ASSETS / "view.js").read_text()
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "view.css").read_text()]

    def __init__(self, on_action: Callable[[str, str], Any] | None = None, **params: Any) -> None:
        """Take the callback for actions; it may be a coroutine function."""
        super().__init__(**params)  # type: ignore[no-untyped-call]
        self._on_action = on_action

    def draw(self, tree: Node) -> None:
        """Show ``tree``; what has not changed is left alone."""
        if tree != self.tree:
            self.tree = tree

    def _handle_msg(self, data: Any) -> None:
        if self._on_action and isinstance(data, dict):
            pn.state.execute(partial(self._on_action, str(data.get("action", "")), str(data.get("value", ""))))


def _name(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _text(value: object) -> str:
    return "" if value is True else str(value)
