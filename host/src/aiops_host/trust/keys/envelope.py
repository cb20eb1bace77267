"""Sealing bytes: a fresh AES-256-GCM key per seal, derived by HKDF-SHA512, and a commitment to the key it came from.

AES-GCM alone lets a forger make one ciphertext that opens under two keys. The commitment, half of what HKDF gives, is
compared before anything is decrypted, so that a seal opens under one key only.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
SALT_BYTES = 32
NONCE_BYTES = 12
COMMITMENT_BYTES = 32
TAG_BYTES = 16
OVERHEAD = SALT_BYTES + NONCE_BYTES + COMMITMENT_BYTES + TAG_BYTES


class DoesNotOpen(ValueError):
    """The seal was made with another key or for another context, or was changed."""


def seal(key: bytes, context: bytes, plaintext: bytes) -> bytes:
    """Return salt, nonce, commitment and ciphertext with its tag.

    Args:
        key: 32 bytes.
        context: Bound into the derived key and the tag; the same is needed to open.
        plaintext: Any bytes.
    """
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    cipher_key, commitment = derive(key, salt, context)
    return salt + nonce + commitment + encrypt(cipher_key, nonce, context, plaintext)


def unseal(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """Return the plaintext.

    Raises:
        DoesNotOpen: Another key, another context, or changed bytes.
    """
    if len(sealed) < OVERHEAD:
        raise DoesNotOpen
    salt, nonce, commitment, ciphertext = _parts(sealed)
    cipher_key, expected = derive(key, salt, context)
    if not hmac.compare_digest(commitment, expected):
        raise DoesNotOpen
    return decrypt(cipher_key, nonce, context, ciphertext)


def derive(key: bytes, salt: bytes, context: bytes) -> tuple[bytes, bytes]:
    """Return the key one seal is made with, and the commitment that goes with it."""
    both = hkdf(key, salt, context, KEY_BYTES + COMMITMENT_BYTES)
    return both[:KEY_BYTES], both[KEY_BYTES:]


def hkdf(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Return ``length`` bytes of HKDF-SHA512 (RFC 5869)."""
    return HKDF(algorithm=SHA512(), length=length, salt=salt, info=info).derive(key)


def encrypt(key: bytes, nonce: bytes, context: bytes, plaintext: bytes) -> bytes:
    """Return AES-GCM's ciphertext with its tag behind it."""
    return AESGCM(key).encrypt(nonce, plaintext, context)


def decrypt(key: bytes, nonce: bytes, context: bytes, ciphertext: bytes) -> bytes:
    """Return the plaintext of AES-GCM's ciphertext with its tag behind it.

    Raises:
        DoesNotOpen: The tag is not right.
    """
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, context)
    except InvalidTag:
        raise DoesNotOpen from None


def _parts(sealed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    nonce_at, commitment_at = SALT_BYTES, SALT_BYTES + NONCE_BYTES
    text_at = commitment_at + COMMITMENT_BYTES
    return sealed[:nonce_at], sealed[nonce_at:commitment_at], sealed[commitment_at:text_at], sealed[text_at:]
