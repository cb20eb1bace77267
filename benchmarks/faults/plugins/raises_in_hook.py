"""A plugin whose hook raises."""

from __future__ import annotations

from collections.abc import Iterable

from aiops_core import ToolSpec, hookimpl


@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Raise."""
    raise RuntimeError("this hook raises")
