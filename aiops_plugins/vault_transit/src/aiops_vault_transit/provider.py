"""Data keys wrapped by Vault: one Transit key per tenant, which goes with the tenant."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from aiops_core.errors import KeyProviderRefused, KeyProviderUnavailable
from aiops_core.keys import KeyContext, KeyProvider, WrappedKey
from aiops_core.services import KeyServices
from aiops_core.ticketing import Health
from aiops_vault_transit.client import NoSuchKey, VaultClient
from aiops_vault_transit.config import VaultTransitConfig
from aiops_vault_transit.wire import Decrypted, Encrypted, Key

KEY_TYPE = "aes256-gcm96"


class VaultTransit(KeyProvider):
    """Wraps with Vault's Transit engine. A key's id is its name and version: ``aiops-<tenant>:v2``."""

    def __init__(self, config: VaultTransitConfig, services: KeyServices) -> None:
        """Take the operator's configuration; nothing is asked of Vault yet."""
        self._client = VaultClient(config, services.http)
        self._prefix = config.key_prefix

    async def wrap(self, key: bytes, context: KeyContext) -> WrappedKey:
        """Encrypt under the tenant's Transit key, which is made if there is none."""
        name = self._name(context.tenant)
        values = {"plaintext": _base64(key), "associated_data": _base64(context.encoded())}
        try:
            sealed = await self._client.write(f"encrypt/{name}", values, Encrypted)
        except NoSuchKey:
            await self._client.change(f"keys/{name}", {"type": KEY_TYPE})
            sealed = await self._client.write(f"encrypt/{name}", values, Encrypted)
        return WrappedKey(f"{name}:{_version_of(sealed.ciphertext)}", sealed.ciphertext.encode())

    async def unwrap(self, wrapped: WrappedKey, context: KeyContext) -> bytes:
        """Decrypt with the tenant's Transit key."""
        values = {"ciphertext": wrapped.data.decode(), "associated_data": _base64(context.encoded())}
        found = await self._client.write(f"decrypt/{self._name(context.tenant)}", values, Decrypted)
        try:
            return base64.b64decode(found.plaintext, validate=True)
        except binascii.Error:
            raise KeyProviderUnavailable("What answers at Vault's address is not Vault.") from None

    async def current(self, tenant: UUID) -> str:
        """Read the Transit key's latest version; one that is still to be made has none, which no wrapping is under."""
        name = self._name(tenant)
        try:
            latest = (await self._client.read(f"keys/{name}", Key)).latest_version
        except NoSuchKey:
            latest = 0
        return f"{name}:v{latest}"

    async def rotate(self, tenants: Sequence[UUID]) -> None:
        """Rotate the Transit key of each tenant that has one."""
        for tenant in tenants:
            try:
                await self._client.change(f"keys/{self._name(tenant)}/rotate", {})
            except NoSuchKey:
                continue

    async def retire(self, in_use: Mapping[UUID, Collection[str]]) -> int:
        """Forbid and trim the versions below the oldest in use."""
        return sum([await self._retire(tenant, key_ids) for tenant, key_ids in in_use.items()])

    async def destroy(self, tenant: UUID) -> None:
        """Delete the tenant's Transit key, all versions."""
        name = self._name(tenant)
        try:
            await self._client.change(f"keys/{name}/config", {"deletion_allowed": True})
        except NoSuchKey:
            return
        await self._client.delete(f"keys/{name}")

    async def check_health(self) -> Health:
        """Ask Vault about our token."""
        try:
            await self._client.who_am_i()
        except (KeyProviderRefused, KeyProviderUnavailable) as error:
            return Health(status="failed", detail=str(error))
        return Health(status="ok", detail="Vault answers and takes our token.")

    async def _retire(self, tenant: UUID, key_ids: Collection[str]) -> int:
        name = self._name(tenant)
        try:
            key = await self._client.read(f"keys/{name}", Key)
        except NoSuchKey:
            return 0
        used = [int(version) for own, _, version in (key_id.rpartition(":v") for key_id in key_ids) if own == name]
        floor, before = min([*used, key.latest_version]), max(key.min_available_version, 1)
        if floor <= before:
            return 0
        await self._client.change(
            f"keys/{name}/config", {"min_decryption_version": floor, "min_encryption_version": floor}
        )
        await self._client.change(f"keys/{name}/trim", {"min_available_version": floor})
        return floor - before

    def _name(self, tenant: UUID) -> str:
        return f"{self._prefix}-{tenant.hex}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _version_of(ciphertext: str) -> str:
    parts = ciphertext.split(":", 2)
    if len(parts) != 3 or parts[0] != "vault" or not parts[1][1:].isdigit():  # noqa: PLR2004 - vault, version, text
        raise KeyProviderUnavailable("What answers at Vault's address is not Vault.")
    return parts[1]
