"""A tool that never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from benchmarks.faults.plugins.probe import probe

from aiops_core import ToolSpec, hookimpl


@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Contribute the tool."""

    async def act(_title: str) -> str:
        await asyncio.Event().wait()
        return ""

    yield probe("hangs", act)
