"""A tool that kills its worker over certain tickets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

from benchmarks.faults.plugins.probe import probe

from aiops_core import ToolSpec, hookimpl


@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Contribute the tool."""

    async def act(title: str) -> str:
        if "POISON" in title:
            os.kill(os.getpid(), signal.SIGKILL)
        return ""

    yield probe("poison", act)
