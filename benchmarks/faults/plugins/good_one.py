"""A plugin without fault."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.faults.plugins.probe import probe

from aiops_core import ToolSpec, hookimpl


@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Contribute a tool that always finds something."""

    async def act(title: str) -> str:
        return f"good-one looked at {title}"

    yield probe("good-one", act)
