"""A plugin whose hook returns something else than records."""

from __future__ import annotations

from aiops_core import hookimpl


@hookimpl
def aiops_register_tools() -> list[str]:
    """Return no record."""
    return ["a tool, honestly"]
