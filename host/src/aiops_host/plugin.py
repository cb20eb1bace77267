"""The host's own commands, contributed like any plugin's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiops_core.hookspecs import hookimpl
from aiops_core.specs import CommandSpec, KeyProviderSpec
from aiops_host.trust.keys.config import FileKeyConfig

if TYPE_CHECKING:
    from aiops_core.keys import KeyProvider
    from aiops_core.services import KeyServices

COMMANDS = {
    "up": "Run everything on this machine, with its own PostgreSQL and Redis",
    "serve": "Run the host: webhooks, API",
    "worker": "Run a worker: agents, notes",
    "migrate": "Create or update roles and tables",
    "plugins": "Show what is installed, what loaded and what failed",
    "tenants": "Create, change, export and delete tenants",
    "connections": "Connect a tenant's ticketing tool",
    "webhooks": "Explain refused webhooks; secrets and networks of webhook addresses",
    "users": "People who may log in, and what they may do",
    "tokens": "API tokens for scripts",
    "backends": "Choose a tenant's LLM backends",
    "providers": "List where models may be asked, and keep tenants' keys for them",
    "budgets": "Bound what tenants spend on language models",
    "usage": "Show what tenants used of language models",
    "tickets": "Import resolved tickets into a tenant's history",
    "knowledge": "Import a tenant's articles",
    "assets": "Import a tenant's assets",
    "deliveries": "List, show and replay deliveries",
    "privacy": "Keep personal data from language models",
    "audit": "Read the audit trail and check that it is whole",
    "keys": "Make, change and look after the keys that seal secrets",
}


def _key_file(config: FileKeyConfig, services: KeyServices) -> KeyProvider:
    from aiops_host.trust.keys.file_provider import open_key_file  # noqa: PLC0415 - keeps listing plugins light

    return open_key_file(config, services)


@hookimpl
def aiops_register_key_providers() -> Iterable[KeyProviderSpec]:
    """Contribute the key file."""
    return [KeyProviderSpec(name="file", title="Key file", factory=_key_file, config=FileKeyConfig)]


@hookimpl
def aiops_register_commands() -> Iterable[CommandSpec]:
    """Contribute the host's commands."""
    return [CommandSpec(name=name, help=text, target=f"aiops_host.cli.{name}:main") for name, text in COMMANDS.items()]
