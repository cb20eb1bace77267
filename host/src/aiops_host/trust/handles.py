"""Handles on sealed secrets: what one process may open, and what it may not."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn, cast
from uuid import UUID

from aiops_core.config import Secret
from aiops_core.errors import AiopsError
from aiops_host.data import connections as stored
from aiops_host.data.connections import SealedSecret
from aiops_host.data.session import Connection, Database
from aiops_host.trust.keys.envelope import KEY_BYTES
from aiops_host.trust.keys.naming import KeyName, key_of, purpose_of
from aiops_host.trust.vault import (
    INSTALLATION,
    DataKey,
    OwnerKind,
    Purpose,
    SecretName,
    SecretUnreadable,
    Vault,
    open_under,
    seal_under,
)

REMEMBERED_SECONDS = 60.0


class SecretOutOfReach(AiopsError):
    """This process has no right to open the secret: webhook secrets open in the host, credentials in the worker."""


@dataclass(frozen=True, slots=True)
class SecretReader:
    """Opens the secrets of one purpose; a handle of the other purpose raises when it is opened.

    A webhook secret stays in the host's memory for a minute at most; credentials are opened at each use.
    """

    vault: Vault
    purpose: Purpose

    async def prepare(self, database: Database, tenant_id: UUID, sealed: Iterable[bytes]) -> None:
        """Have the data keys of this purpose at hand that the seals name; needed before :meth:`handle`.

        A seal that names no key is passed over: its handle says so when it is opened.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
            SecretUnreadable: It answers that it does not open one of them.
            DatabaseBusy, DatabaseDown: The keys cannot be read.
        """
        await self.vault.prepare(database, tenant_id, [one for one in sealed if self._names_own_key(tenant_id, one)])

    def handle(self, tenant_id: UUID, secret: SealedSecret) -> Secret:
        """Return a handle that opens the secret at use; while it lives, its data key stays at hand."""
        if purpose_of(secret.owner_kind) != self.purpose:
            return out_of_reach(secret.owner_kind, secret.name)
        name, sealed = secret_name(tenant_id, secret), secret.sealed
        key = self.vault.key(name, sealed) if self._names_own_key(tenant_id, sealed) else None

        def opener() -> str:
            return self.vault.open(name, sealed, key)

        return Secret(_remembering(opener) if self.purpose == "webhook" else opener)

    def decoy(self) -> Secret:
        """Return a handle on a random secret of nobody, which takes as long to open as a real one."""
        name = SecretName(tenant_id=INSTALLATION, owner_kind="endpoint", owner_id="0" * 32, name="webhook", version=1)
        key = DataKey(KeyName(INSTALLATION, "webhook", 1), INSTALLATION, secrets.token_bytes(KEY_BYTES), lasting=True)
        sealed = seal_under(key, name, secrets.token_urlsafe(KEY_BYTES))
        return Secret(_remembering(lambda: open_under(key, name, sealed)))

    def _names_own_key(self, tenant_id: UUID, sealed: bytes) -> bool:
        with contextlib.suppress(SecretUnreadable):
            return key_of(tenant_id, sealed).purpose == self.purpose
        return False


def _remembering(opener: Callable[[], str]) -> Callable[[], str]:
    """Return an opener that decrypts once a minute: two openings took a sixth of what a webhook costs."""
    kept: list[str] = []

    def opened() -> str:
        if kept:
            return kept[0]
        value = opener()
        with contextlib.suppress(RuntimeError):  # without a loop nothing would make it forget
            asyncio.get_running_loop().call_later(REMEMBERED_SECONDS, kept.clear)
            kept.append(value)
        return value

    return opened


def out_of_reach(owner_kind: str, name: str) -> Secret:
    """Return a handle that raises :class:`SecretOutOfReach` when it is opened."""

    def refuse() -> NoReturn:
        raise SecretOutOfReach(
            f"The secret {name!r} of a {owner_kind} does not open in this process: webhook secrets open in the "
            "host, credentials in the worker."
        )

    return Secret(refuse)


async def seal_all(
    con: Connection, vault: Vault, tenant_id: UUID, owner: tuple[str, str], values: Mapping[str, str]
) -> None:
    """Seal each value as the next version of its name, inside the caller's tenant session."""
    kind, owner_id = owner
    for name, value in values.items():
        version = await stored.next_version(con, kind, owner_id, name)
        secret = SealedSecret(owner_kind=kind, owner_id=owner_id, name=name, version=version, sealed=b"")
        sealed = await vault.seal(con, secret_name(tenant_id, secret), value)
        await stored.put_secret(con, tenant_id, replace(secret, sealed=sealed))


def secret_name(tenant_id: UUID, secret: SealedSecret) -> SecretName:
    """Return what the seal of a stored secret is bound to."""
    return SecretName(
        tenant_id=tenant_id,
        owner_kind=cast("OwnerKind", secret.owner_kind),
        owner_id=secret.owner_id,
        name=secret.name,
        version=secret.version,
    )
