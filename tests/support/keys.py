"""Vaults for tests: with a key in a file of their own, or with none."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from aiops_core import Health, KeyContext, KeyProvider, KeyProviderUnavailable, WrappedKey
from aiops_host.trust.vault import Vault, create_key_file


def make_vault(folder: Path) -> Vault:
    """Return a vault with a fresh key in the folder."""
    create_key_file(folder / "key")
    return Vault.load(folder / "key")


class NoProvider(KeyProvider):
    """A key provider that is away."""

    async def wrap(self, key: bytes, context: KeyContext) -> WrappedKey:
        """Be away."""
        raise KeyProviderUnavailable

    async def unwrap(self, wrapped: WrappedKey, context: KeyContext) -> bytes:
        """Be away."""
        raise KeyProviderUnavailable

    async def current(self, tenant: UUID) -> str:
        """Be away."""
        raise KeyProviderUnavailable

    async def rotate(self, tenants: Sequence[UUID]) -> None:
        """Be away."""
        raise KeyProviderUnavailable

    async def retire(self, in_use: Mapping[UUID, Collection[str]]) -> int:
        """Be away."""
        raise KeyProviderUnavailable

    async def destroy(self, tenant: UUID) -> None:
        """Be away."""
        raise KeyProviderUnavailable

    async def check_health(self) -> Health:
        """Be away."""
        return Health(status="failed", detail="away")
