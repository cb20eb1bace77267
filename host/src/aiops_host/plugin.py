"""The host's own commands, contributed like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from aiops_core.hookspecs import hookimpl
from aiops_core.specs import CommandSpec

COMMANDS = {
    "up": "Run everything on this machine, with its own PostgreSQL and Redis",
    "serve": "Run the host: webhooks, API",
    "worker": "Run a worker: agents, notes",
    "migrate": "Create or update roles and tables",
    "plugins": "Show what is installed, what loaded and what failed",
    "tenants": "Create and list tenants",
    "connections": "Connect a tenant's ticketing tool",
    "users": "Create people who may log in",
    "backends": "Choose a tenant's LLM backends",
    "tickets": "Import resolved tickets into a tenant's history",
    "knowledge": "Import a tenant's articles",
    "assets": "Import a tenant's assets",
    "deliveries": "List, show and replay deliveries",
    "audit": "Read the audit trail and check that it is whole",
    "keys": "Make the key that seals secrets",
}


@hookimpl
def aiops_register_commands() -> Iterable[CommandSpec]:
    """Contribute the host's commands."""
    return [CommandSpec(name=name, help=text, target=f"aiops_host.cli.{name}:main") for name, text in COMMANDS.items()]
