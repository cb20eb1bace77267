"""How a sealed secret names itself, and the key it is sealed under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from aiops_core.errors import AiopsError
from aiops_core.keys import length_prefixed
from aiops_host.data.keys import Purpose

FORMAT = b"AOS1"
VERSION_BYTES = 4
HEAD_BYTES = len(FORMAT) + 1 + VERSION_BYTES

OwnerKind = Literal["connection", "endpoint", "llm-backend", "tool", "agent", "person"]

PURPOSES: Mapping[str, Purpose] = MappingProxyType({"endpoint": "webhook", "person": "login"})
"""Owner kinds whose secrets are not credentials of a plugin."""
_CODES: Mapping[Purpose, int] = MappingProxyType({"webhook": 1, "credentials": 2, "login": 3})
_BY_CODE = MappingProxyType({code: purpose for purpose, code in _CODES.items()})


class SecretUnreadable(AiopsError):
    """A sealed secret does not open with this installation's keys for this tenant, owner, name and version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretName:
    """Which secret: every part is bound into its seal, so that a moved row does not open."""

    tenant_id: UUID
    owner_kind: OwnerKind
    owner_id: str
    name: str
    version: int

    @property
    def purpose(self) -> Purpose:
        """What the secret is for, which decides who may open it."""
        return purpose_of(self.owner_kind)

    def __str__(self) -> str:
        return f"{self.name!r} of {self.owner_kind} {self.owner_id}"


@dataclass(frozen=True, slots=True)
class KeyName:
    """Which data key."""

    tenant_id: UUID
    purpose: Purpose
    version: int


def purpose_of(owner_kind: str) -> Purpose:
    """Return what the secrets of such an owner are for."""
    return PURPOSES.get(owner_kind, "credentials")


def head(key: KeyName) -> bytes:
    """Return what a seal under the key begins with."""
    return FORMAT + bytes([_CODES[key.purpose]]) + key.version.to_bytes(VERSION_BYTES, "big")


def key_of(tenant_id: UUID, sealed: bytes) -> KeyName:
    """Return which of the tenant's keys the seal names.

    Raises:
        SecretUnreadable: It is no seal of this format.
    """
    purpose = _BY_CODE.get(sealed[len(FORMAT)]) if len(sealed) > HEAD_BYTES and sealed.startswith(FORMAT) else None
    if purpose is None:
        raise SecretUnreadable("A stored secret is not of this version's format; give it again.")
    return KeyName(tenant_id, purpose, int.from_bytes(sealed[len(FORMAT) + 1 : HEAD_BYTES], "big"))


def context(installation: UUID, name: SecretName, key: KeyName) -> bytes:
    """Return all that a seal is bound to: format, installation, tenant, purpose, owner, name and both versions."""
    parts = (key.purpose, name.owner_kind, name.owner_id, name.name, str(name.version), str(key.version))
    return length_prefixed(FORMAT, installation.bytes, name.tenant_id.bytes, *(part.encode() for part in parts))
