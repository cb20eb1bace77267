"""Strict stand-ins for the vendors' ticketing tools: they refuse what the real product refuses."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from aiops_demo.simulators.base import VendorSimulator

SIMULATORS = {
    "jira": "aiops_demo.simulators.jira:JiraSimulator",
    "servicedesk": "aiops_demo.simulators.servicedesk:ServiceDeskSimulator",
}
"""Ticketing tool name to the class of its simulator."""


def simulator_class(name: str) -> type[VendorSimulator]:
    """Return the class of the simulator called ``name``, importing it now."""
    module, _, attribute = SIMULATORS[name].partition(":")
    return cast("type[VendorSimulator]", getattr(import_module(module), attribute))
