"""Handles on sealed secrets: how long the host remembers what it opened."""

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.support.keys import NoProvider

from aiops_core.config import Secret
from aiops_core.errors import KeyProviderUnavailable
from aiops_host.data.connections import SealedSecret
from aiops_host.trust import handles
from aiops_host.trust.handles import SecretOutOfReach, SecretReader, secret_name
from aiops_host.trust.keys import ring
from aiops_host.trust.keys.naming import KeyName, purpose_of
from aiops_host.trust.vault import INSTALLATION, DataKey, SecretName, SecretUnreadable, Vault, seal_under


class CountingVault(Vault):
    """A vault that counts what it opens, with one key at hand."""

    def __init__(self) -> None:
        """Need no provider."""
        super().__init__(NoProvider(), "none")
        self.opened_names: list[SecretName] = []
        self.opened = self.opened_names.append
        self.prepared: list[bytes] = []

    async def prepare(self, database: object, tenant_id: UUID, sealed: Iterable[bytes]) -> None:
        """Note what was asked for."""
        self.prepared += sealed

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


def test_a_decoy_opens_for_as_long_as_the_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoy's key needs no provider, so that it opens when every other key has lapsed, each time to another secret."""
    decoy = SecretReader(CountingVault(), "webhook").decoy()
    monkeypatch.setattr(ring, "time", SimpleNamespace(monotonic=lambda: 1e12))
    assert read(decoy) == read(decoy) != read(SecretReader(CountingVault(), "webhook").decoy())


async def test_a_webhook_secret_is_kept_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plaintext is forgotten sixty seconds after it was opened, of a decoy as of a secret."""
    kept: list[float] = []
    loop = asyncio.get_running_loop()
    later: Callable[..., Any] = loop.call_later

    def call_later(seconds: float, *rest: Any, **more: Any) -> object:
        kept.append(seconds)
        return later(seconds, *rest, **more)

    monkeypatch.setattr(loop, "call_later", call_later)
    for secret in (CountingVault().with_key("endpoint"), SecretReader(CountingVault(), "webhook").decoy()):
        read(secret), read(secret)
    assert kept == [60.0, 60.0]


@pytest.mark.parametrize(
    ("kind", "purpose"), [("connection", "webhook"), ("person", "webhook"), ("endpoint", "credentials")]
)
def test_a_secret_of_another_purpose_is_out_of_reach(kind: str, purpose: Any) -> None:
    """A process that reads one purpose's secrets cannot open another's, though their key be at hand, and says why."""
    vault = CountingVault()
    tenant = uuid4()
    key = vault.keys.put(DataKey(KeyName(tenant, purpose_of(kind), 1), INSTALLATION, bytes(range(32))))
    secret = SealedSecret(owner_kind=kind, owner_id="0" * 32, name="n", version=1, sealed=b"")
    sealed = seal_under(key, secret_name(tenant, secret), "s3cret")
    handle = SecretReader(vault, purpose).handle(
        tenant, SealedSecret(owner_kind=kind, owner_id="0" * 32, name="n", version=1, sealed=sealed)
    )
    with pytest.raises(SecretOutOfReach, match=f"The secret 'n' of a {kind} does not open in this process"):
        read(handle)
    assert vault.opened_names == []


@pytest.mark.parametrize("sealed", [b"", b"no seal", b"AOS1\x02\0\0\0\x01" + bytes(100)])
async def test_a_handle_on_what_names_no_key_of_its_purpose_says_so_when_it_is_opened(sealed: bytes) -> None:
    """Such a seal stops nobody from preparing and holding the others; whoever opens it is told."""
    vault, tenant = CountingVault(), uuid4()
    reader = SecretReader(vault, "webhook")
    good = b"AOS1\x01\0\0\0\x01" + bytes(100)
    await reader.prepare(None, tenant, [good, sealed])  # type: ignore[arg-type]
    assert vault.prepared == [good]
    handle = reader.handle(
        tenant, SealedSecret(owner_kind="endpoint", owner_id="0" * 32, name="n", version=1, sealed=sealed)
    )
    with pytest.raises(SecretUnreadable):
        read(handle)
