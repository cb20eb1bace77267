"""Handles on sealed secrets: what one process may open, and what it may not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NoReturn, cast
from uuid import UUID

from aiops_core.config import Secret
from aiops_core.errors import AiopsError
from aiops_host.data import connections as stored
from aiops_host.data.connections import SealedSecret
from aiops_host.data.session import Connection
from aiops_host.trust.vault import OwnerKind, SecretName, Vault

Purpose = Literal["webhook", "credentials"]
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

    def handle(self, tenant_id: UUID, secret: SealedSecret) -> Secret:
        """Return a handle that opens the secret at use."""
        if (secret.owner_kind == "endpoint") != (self.purpose == "webhook"):
            return out_of_reach(secret.owner_kind, secret.name)
        name = _name(tenant_id, secret)
        if self.purpose == "webhook":
            return Secret(_remembering(lambda: self.vault.open(name, secret.sealed)))
        return Secret(lambda: self.vault.open(name, secret.sealed))


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
        sealed = vault.seal(_name(tenant_id, secret), value)
        await stored.put_secret(con, tenant_id, replace(secret, sealed=sealed))


def _name(tenant_id: UUID, secret: SealedSecret) -> SecretName:
    return SecretName(
        tenant_id=tenant_id,
        owner_kind=cast("OwnerKind", secret.owner_kind),
        owner_id=secret.owner_id,
        name=secret.name,
        version=secret.version,
    )
