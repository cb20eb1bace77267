"""Handles on sealed secrets: how long the host remembers what it opened."""

import asyncio
from uuid import uuid4

import pytest
from tests.support.keys import NoProvider

from aiops_core.config import Secret
from aiops_core.errors import KeyProviderUnavailable
from aiops_host.data.connections import SealedSecret
from aiops_host.trust import handles
from aiops_host.trust.handles import SecretReader, secret_name
from aiops_host.trust.keys.naming import KeyName, purpose_of
from aiops_host.trust.vault import INSTALLATION, DataKey, SecretName, Vault, seal_under


class CountingVault(Vault):
    """A vault that counts what it opens, with one key at hand."""

    def __init__(self) -> None:
        """Need no provider."""
        super().__init__(NoProvider(), "none")
        self.opened_names: list[SecretName] = []
        self.opened = self.opened_names.append

    def with_key(self, kind: str) -> Secret:
        """Return a handle on a secret of that kind, in the process that may open it."""
        tenant = uuid4()
        name = KeyName(tenant, purpose_of(kind), 1)
        key = self.keys.put(DataKey(name, INSTALLATION, bytes(range(32))))
        secret = SealedSecret(owner_kind=kind, owner_id="0" * 32, name="n", version=1, sealed=b"")
        sealed = seal_under(key, secret_name(tenant, secret), "s3cret")
        return SecretReader(self, name.purpose).handle(
            tenant, SealedSecret(owner_kind=kind, owner_id="0" * 32, name="n", version=1, sealed=sealed)
        )


def read(secret: Secret) -> str:
    """Return the plaintext."""
    with secret.open() as value:
        return value


async def test_a_webhook_secret_is_decrypted_once_for_many_webhooks() -> None:
    """Ten openings within the minute decrypt once."""
    vault = CountingVault()
    secret = vault.with_key("endpoint")

    assert {read(secret) for _ in range(10)} == {"s3cret"}
    assert len(vault.opened_names) == 1


async def test_a_webhook_secret_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the plaintext is gone, used or not, and the next webhook decrypts again."""
    monkeypatch.setattr(handles, "REMEMBERED_SECONDS", 0)
    vault = CountingVault()
    secret = vault.with_key("endpoint")
    read(secret)
    await asyncio.sleep(0.01)

    assert read(secret) == "s3cret"
    assert len(vault.opened_names) == 2


async def test_credentials_are_decrypted_at_each_use() -> None:
    """What opens in the worker is not remembered."""
    vault = CountingVault()
    secret = vault.with_key("connection")

    assert {read(secret) for _ in range(3)} == {"s3cret"}
    assert len(vault.opened_names) == 3


def test_without_a_loop_nothing_is_remembered() -> None:
    """A command that has no event loop, and so nothing to make it forget, decrypts each time."""
    vault = CountingVault()
    secret = vault.with_key("endpoint")
    read(secret), read(secret)

    assert len(vault.opened_names) == 2


def test_a_handle_keeps_its_key_and_a_destroyed_key_closes_it() -> None:
    """A data key is at hand while a handle needs it; once the tenant's keys are destroyed the handle opens no more."""
    vault = CountingVault()
    secret = vault.with_key("connection")
    (name,) = vault.keys.names()
    assert read(secret) == "s3cret"

    vault.keys.forget(name.tenant_id)
    with pytest.raises(KeyProviderUnavailable):
        read(secret)

    del secret
    assert vault.keys.names() == []


def test_a_decoy_opens_like_a_webhook_secret() -> None:
    """The secret of nobody, which refusals are timed with, opens without any key of a tenant."""
    vault = CountingVault()
    assert len(read(SecretReader(vault, "webhook").decoy())) > 32
