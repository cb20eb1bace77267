"""The dashboard's command, contributed like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from aiops_core.hookspecs import hookimpl
from aiops_core.specs import CommandSpec


@hookimpl
def aiops_register_commands() -> Iterable[CommandSpec]:
    """Contribute ``aiops admin``."""
    return [CommandSpec(name="admin", help="Run the dashboard", target="aiops_admin.cli:main")]
