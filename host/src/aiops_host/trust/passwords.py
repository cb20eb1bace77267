"""Passwords: argon2id, a few at a time, and no shorter way for an address nobody has."""

from __future__ import annotations

import asyncio
import base64
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from aiops_core.errors import AiopsError

MAX_PASSWORD_LENGTH = 1024
MIN_PASSWORD_LENGTH = 12
MAX_EMAIL_LENGTH = 254
CONCURRENT_HASHES = 2
"""Each takes 64 MiB and a core for some 50 ms: more at a time would let logins starve everything else."""

_HASHER = PasswordHasher()


class PasswordRefused(AiopsError):
    """The password cannot be used."""


class Passwords:
    """The hashes of one process; ``turn`` is held while one is made or compared."""

    def __init__(self) -> None:
        """Make up what an address nobody has is compared with."""
        self.turn = asyncio.Semaphore(CONCURRENT_HASHES)
        self.nobodys = nobodys_hash()

    async def match(self, stored: str, password: str) -> bool:
        """Return whether it is the password; a person without one takes as long. The caller holds ``turn``."""
        return await asyncio.to_thread(_matches, stored or self.nobodys, password)

    async def hash(self, password: str) -> str:
        """Return what is stored of a password.

        Raises:
            PasswordRefused: It is too short or too long.
        """
        check_password(password)
        async with self.turn:
            return await asyncio.to_thread(_HASHER.hash, password)


def check_email(email: str) -> None:
    """Refuse what is no address.

    Raises:
        PasswordRefused: It is none.
    """
    if "@" not in email or any(c.isspace() or not c.isprintable() for c in email) or len(email) > MAX_EMAIL_LENGTH:
        raise PasswordRefused(f"{email!r} is not an email address.")


def check_password(password: str) -> None:
    """Refuse a password that is too short or too long.

    Raises:
        PasswordRefused: It is.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise PasswordRefused(f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.")


def nobodys_hash() -> str:
    """Return a hash of no password, at the costs of a real one."""
    costs = f"m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_HASHER.salt_len, _HASHER.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def _matches(stored: str, password: str) -> bool:
    if len(password) > MAX_PASSWORD_LENGTH:
        password = ""
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
