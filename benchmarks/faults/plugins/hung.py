"""A tool that never answers for certain tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from benchmarks.faults.plugins.probe import probe

from aiops_core import ToolSpec, hookimpl


@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Contribute the tool."""

    async def act(title: str) -> str:
        if "HANG" in title:
            await asyncio.Event().wait()
        return ""

    yield probe("hung", act)
