"""The hooks of this distribution."""

from __future__ import annotations

from collections.abc import Iterable

from aiops_core.hookspecs import hookimpl
from aiops_core.services import TicketingServices
from aiops_core.specs import TicketingToolSpec
from aiops_core.ticketing import TicketingToolPlugin
from aiops_servicedesk.config import ServiceDeskConfig
from aiops_servicedesk.setup_help import SETUP_HELP


@hookimpl
def aiops_register_ticketing_tools() -> Iterable[TicketingToolSpec]:
    """Contribute ServiceDesk Plus."""
    return [
        TicketingToolSpec(
            name="servicedesk",
            title="ManageEngine ServiceDesk Plus",
            config=ServiceDeskConfig,
            factory=_open,
            sender_headers=_sender_headers,
            setup_help=SETUP_HELP,
        )
    ]


def _open(config: ServiceDeskConfig, services: TicketingServices) -> TicketingToolPlugin:
    from aiops_servicedesk.ticketing import ServiceDeskTool  # noqa: PLC0415 - loaded when a connection is first opened

    return ServiceDeskTool(config, services)


def _sender_headers(config: ServiceDeskConfig) -> dict[str, str]:
    return {config.proof_header: "{secret}"} if config.proof == "header" else {}
