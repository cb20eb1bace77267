"""What this distribution contributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiops_core.hookspecs import hookimpl
from aiops_core.specs import KeyProviderSpec
from aiops_vault_transit.config import VaultTransitConfig

if TYPE_CHECKING:
    from aiops_core.keys import KeyProvider
    from aiops_core.services import KeyServices


def _provider(config: VaultTransitConfig, services: KeyServices) -> KeyProvider:
    from aiops_vault_transit.provider import VaultTransit  # noqa: PLC0415 - keeps listing plugins light

    return VaultTransit(config, services)


@hookimpl
def aiops_register_key_providers() -> Iterable[KeyProviderSpec]:
    """Contribute Vault's Transit engine."""
    return [KeyProviderSpec(name="vault-transit", title="Vault Transit", factory=_provider, config=VaultTransitConfig)]
