"""Secrets at rest: sealed under a data key of their tenant, which the key provider wraps.

A seal is bound to installation, tenant, purpose, owner, name and versions. It names the data key it is under; no other is
tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self
from uuid import UUID

from aiops_core.keys import KeyProvider
from aiops_core.ticketing import Health
from aiops_host.data.keys import INSTALLATION, Purpose
from aiops_host.data.session import Connection, Database
from aiops_host.trust.keys.envelope import DoesNotOpen, seal, unseal
from aiops_host.trust.keys.file_provider import PROVIDER, FileKeyProvider
from aiops_host.trust.keys.keyfile import KeyRefused, create_key_file
from aiops_host.trust.keys.naming import (
    HEAD_BYTES,
    OwnerKind,
    SecretName,
    SecretUnreadable,
    context,
    head,
    key_of,
)
from aiops_host.trust.keys.ring import DataKey, Keyring

__all__ = [
    "INSTALLATION",
    "DataKey",
    "KeyRefused",
    "OwnerKind",
    "Purpose",
    "SecretName",
    "SecretUnreadable",
    "Vault",
    "create_key_file",
]

HEALTH_SECONDS = 2.0
"""Anybody may ask for the host's readiness, and a provider may be across a network."""


class Vault:
    """Seals and opens secrets with the data keys that one provider wraps."""

    def __init__(self, provider: KeyProvider, provider_name: str) -> None:
        """Take the provider and its name."""
        self.keys = Keyring(provider, provider_name)
        self.opened: Callable[[SecretName], None] = lambda _name: None
        """Told of every decryption."""
        self._health: tuple[float, Health] | None = None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return a vault whose keys are in a file.

        Raises:
            KeyRefused: It is missing, readable by others or no key file.
        """
        return cls(FileKeyProvider(Path(path)), PROVIDER)

    async def seal(self, con: Connection, name: SecretName, plaintext: str) -> bytes:
        """Return a secret sealed under the tenant's current data key, inside the caller's session of that tenant.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
            KeyProviderRefused: The tenant's keys were destroyed.
        """
        key = await self.keys.writing(con, name.tenant_id, name.purpose)
        return seal_under(key, name, plaintext)

    async def prepare(self, database: Database, tenant_id: UUID, sealed: Iterable[bytes]) -> None:
        """Have the data keys at hand that the seals name; needed before :meth:`open`.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
            SecretUnreadable: It answers that it does not open one of them, or a seal is none.
            DatabaseBusy, DatabaseDown: The keys cannot be read.
        """
        await self.keys.have(database, [key_of(tenant_id, one) for one in sealed])

    def key(self, name: SecretName, sealed: bytes) -> DataKey | None:
        """Return the key the seal names, if it is at hand; holding it keeps it there."""
        return self.keys.held(key_of(name.tenant_id, sealed))

    def open(self, name: SecretName, sealed: bytes, key: DataKey | None = None) -> str:
        """Return the plaintext.

        Raises:
            SecretUnreadable: The seal was made elsewhere or for another name, was changed, or its key is gone.
            KeyProviderUnavailable: The data key could not be unwrapped for five minutes.
        """
        key = key or self.key(name, sealed)
        if key is None:
            raise SecretUnreadable(f"The data key of the secret {name} is not there; give the secret again.")
        plaintext = open_under(key, name, sealed)
        self.opened(name)
        return plaintext

    async def check(self) -> Health:
        """Say whether keys can be wrapped and unwrapped; whoever asks often gets the answer of a moment ago."""
        now = time.monotonic()
        if self._health is None or now >= self._health[0]:
            self._health = now + HEALTH_SECONDS, await self.keys.provider.check_health()
        return self._health[1]

    async def aclose(self) -> None:
        """Release what the provider holds."""
        await self.keys.provider.aclose()


def seal_under(key: DataKey, name: SecretName, plaintext: str) -> bytes:
    """Return the sealed form: head, salt, nonce, commitment, ciphertext with its tag."""
    return head(key.name) + seal(key.use(), context(key.installation, name, key.name), plaintext.encode())


def open_under(key: DataKey, name: SecretName, sealed: bytes) -> str:
    """Return the plaintext of a seal made under the key.

    Raises:
        SecretUnreadable: It was made under another key or for another name, or was changed.
        KeyProviderUnavailable: The data key could not be unwrapped for five minutes.
    """
    named = key_of(name.tenant_id, sealed)
    if named != key.name or named.purpose != name.purpose:
        raise SecretUnreadable(f"The secret {name} is sealed under another key than its own.")
    try:
        return unseal(key.use(), context(key.installation, name, named), sealed[HEAD_BYTES:]).decode()
    except DoesNotOpen:
        raise SecretUnreadable(f"The secret {name} does not open with its key.") from None
