"""Handles on sealed secrets: how long the host remembers what it opened."""

import asyncio
from uuid import uuid4

import pytest

from aiops_core.config import Secret
from aiops_host.data.connections import SealedSecret
from aiops_host.trust import handles
from aiops_host.trust.handles import SecretReader
from aiops_host.trust.vault import SecretName, Vault


class CountingVault(Vault):
    """A vault that counts what it opens."""

    def __init__(self) -> None:
        """Take any key."""
        super().__init__(bytes(32))
        self.opened = 0

    def open(self, name: SecretName, sealed: bytes) -> str:
        """Count and open."""
        self.opened += 1
        return super().open(name, sealed)


def sealed(vault: Vault, kind: str) -> Secret:
    """Return a handle on a secret of that kind, in the process that may open it."""
    tenant, owner = uuid4(), "0" * 32
    name = SecretName(tenant_id=tenant, owner_kind=kind, owner_id=owner, name="n", version=1)  # type: ignore[arg-type]
    secret = SealedSecret(owner_kind=kind, owner_id=owner, name="n", version=1, sealed=vault.seal(name, "s3cret"))
    return SecretReader(vault, "webhook" if kind == "endpoint" else "credentials").handle(tenant, secret)


def read(secret: Secret) -> str:
    """Return the plaintext."""
    with secret.open() as value:
        return value


async def test_a_webhook_secret_is_decrypted_once_for_many_webhooks() -> None:
    """Ten openings within the minute decrypt once."""
    vault = CountingVault()
    secret = sealed(vault, "endpoint")

    assert {read(secret) for _ in range(10)} == {"s3cret"}
    assert vault.opened == 1


async def test_a_webhook_secret_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the plaintext is gone, used or not, and the next webhook decrypts again."""
    monkeypatch.setattr(handles, "REMEMBERED_SECONDS", 0)
    vault = CountingVault()
    secret = sealed(vault, "endpoint")
    read(secret)
    await asyncio.sleep(0.01)

    assert read(secret) == "s3cret"
    assert vault.opened == 2


async def test_credentials_are_decrypted_at_each_use() -> None:
    """What opens in the worker is not remembered."""
    vault = CountingVault()
    secret = sealed(vault, "connection")

    assert {read(secret) for _ in range(3)} == {"s3cret"}
    assert vault.opened == 3


def test_without_a_loop_nothing_is_remembered() -> None:
    """A command that has no event loop, and so nothing to make it forget, decrypts each time."""
    vault = CountingVault()
    secret = sealed(vault, "endpoint")
    read(secret), read(secret)

    assert vault.opened == 2
