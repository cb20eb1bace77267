"""Secrets at rest: AES-256-GCM under the installation's key, bound to tenant, owner, name and version.

The key is 32 random bytes in a file only the service account may read. Sealing takes a fresh key per secret,
derived from it, so that no nonce is ever used twice under one key.
"""

from __future__ import annotations

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aiops_core.errors import AiopsError

FORMAT = b"AO1"
SALT_BYTES = 32
NONCE_BYTES = 12
KEY_BYTES = 32

OwnerKind = Literal["connection", "endpoint", "llm-backend", "tool", "agent"]


class KeyRefused(AiopsError):
    """The key file cannot be used.

    Host: refuses to start, exit code 2.
    """


class SecretUnreadable(AiopsError):
    """A sealed secret does not open with this installation's key for this tenant, owner, name and version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretName:
    """Which secret: every part is bound into its seal, so that a moved row does not open."""

    tenant_id: UUID
    owner_kind: OwnerKind
    owner_id: str
    name: str
    version: int

    def context(self) -> bytes:
        """Return all parts, each after its length."""
        parts = (FORMAT, self.tenant_id.bytes, self.owner_kind, self.owner_id, self.name, str(self.version))
        encoded = [p if isinstance(p, bytes) else p.encode() for p in parts]
        return b"".join(len(p).to_bytes(4, "big") + p for p in encoded)


class Vault:
    """Seals and opens secrets with one installation key."""

    def __init__(self, key: bytes) -> None:
        """Take the 32-byte key."""
        if len(key) != KEY_BYTES:
            raise KeyRefused(f"The key must have {KEY_BYTES} bytes, this one has {len(key)}.")
        self._key = key

    @classmethod
    def load(cls, path: str | Path) -> Vault:
        """Read the key file.

        Raises:
            KeyRefused: It is missing, readable by others or no key.
        """
        file = Path(path)
        try:
            mode = file.stat().st_mode
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a key"
            raise KeyRefused(f"AIOPS_KEY_FILE {file}: {why}. Make one with `aiops keys init {file}`.") from None
        if mode & 0o077:
            raise KeyRefused(f"AIOPS_KEY_FILE {file} can be read by others; run `chmod 600 {file}`.")
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except ValueError:
            raise KeyRefused(f"AIOPS_KEY_FILE {file} does not hold a key in base64.") from None

    def seal(self, name: SecretName, plaintext: str) -> bytes:
        """Return the sealed form: format, salt, nonce, ciphertext with its tag."""
        salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
        context = name.context()
        return FORMAT + salt + nonce + self._cipher(salt, context).encrypt(nonce, plaintext.encode(), context)

    def open(self, name: SecretName, sealed: bytes) -> str:
        """Return the plaintext.

        Raises:
            SecretUnreadable: The seal was made with another key, or for another name, or was changed.
        """
        head = len(FORMAT) + SALT_BYTES + NONCE_BYTES
        salt, nonce = sealed[len(FORMAT) : len(FORMAT) + SALT_BYTES], sealed[head - NONCE_BYTES : head]
        context = name.context()
        if len(sealed) <= head or not sealed.startswith(FORMAT):
            raise SecretUnreadable
        try:
            return self._cipher(salt, context).decrypt(nonce, sealed[head:], context).decode()
        except InvalidTag:
            raise SecretUnreadable(
                f"The secret {name.name!r} of {name.owner_kind} {name.owner_id} does not open with this key."
            ) from None

    def _cipher(self, salt: bytes, context: bytes) -> AESGCM:
        return AESGCM(HKDF(algorithm=SHA512(), length=KEY_BYTES, salt=salt, info=context).derive(self._key))


def create_key_file(path: str | Path) -> None:
    """Write a new key, readable by its owner only.

    Raises:
        KeyRefused: The file exists: overwriting it would lose every sealed secret.
    """
    file = Path(path)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyRefused(f"{file} exists; a key is never overwritten.") from None
    except OSError as error:
        raise KeyRefused(f"{file}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as handle:
        handle.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
