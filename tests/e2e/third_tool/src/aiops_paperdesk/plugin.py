"""What this distribution contributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from aiops_core import PluginConfig, Secret, TicketingServices, TicketingToolPlugin, TicketingToolSpec, hookimpl


class PaperdeskConfig(PluginConfig, frozen=True, kw_only=True):
    """Where the sheets are, and the key to them."""

    address: Annotated[str, Meta(title="Address", pattern="^https?://")]
    key: Annotated[Secret, Meta(title="Key")]


@hookimpl
def aiops_register_ticketing_tools() -> Iterable[TicketingToolSpec]:
    """Contribute Paperdesk."""
    yield TicketingToolSpec(
        name="paperdesk",
        title="Paperdesk",
        factory=_tool,
        config=PaperdeskConfig,
        sender_headers=lambda _config: {"Paper-Desk": "1"},
        setup_help="Office, Couriers, New courier: enter the address, and the secret as its seal.",
    )


def _tool(config: PaperdeskConfig, services: TicketingServices) -> TicketingToolPlugin:
    from aiops_paperdesk.ticketing import Paperdesk  # noqa: PLC0415 - keeps listing plugins light

    return Paperdesk(config, services)
