"""Vault's answers, as Vault spells them (developer.hashicorp.com/vault/api-docs/secret/transit)."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

DataT = TypeVar("DataT")


class Answer(msgspec.Struct, Generic[DataT], frozen=True):
    """What every successful answer with a body is wrapped in."""

    data: DataT


class Encrypted(msgspec.Struct, frozen=True):
    """``POST /transit/encrypt/:name``. The text begins with ``vault:v<key version>:``."""

    ciphertext: str


class Decrypted(msgspec.Struct, frozen=True):
    """``POST /transit/decrypt/:name``; base64."""

    plaintext: str


class Key(msgspec.Struct, frozen=True):
    """``GET /transit/keys/:name``."""

    latest_version: int
    min_decryption_version: int = 1
    min_available_version: int = 0


class Errors(msgspec.Struct, frozen=True):
    """The body of every failed answer."""

    errors: list[str] = []
