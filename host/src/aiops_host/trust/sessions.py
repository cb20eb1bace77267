"""Logins and sessions: argon2id passwords, opaque tokens of 256 bits of which only the hash is stored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from aiops_core.errors import AiopsError
from aiops_host.data import people
from aiops_host.data.people import Person, TenantRole
from aiops_host.data.session import Database

TOKEN_BYTES = 32
MAX_TOKEN_LENGTH = 64
MAX_PASSWORD_LENGTH = 1024
MIN_PASSWORD_LENGTH = 12
MAX_EMAIL_LENGTH = 254
CONCURRENT_HASHES = 2
"""Each takes 64 MiB and a core for some 50 ms: more at a time would let logins starve everything else."""

_HASHER = PasswordHasher()


class LoginRefused(AiopsError):
    """Wrong email or password, or too many failed attempts; wait a moment and try again."""


class PasswordRefused(AiopsError):
    """The password cannot be used."""


class PersonRefused(AiopsError):
    """The person cannot be made or changed."""


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session. ``token`` is shown this once."""

    token: str
    expires_at: datetime
    user_id: UUID

    def __repr__(self) -> str:
        return f"LoggedIn(user_id={self.user_id!r})"


class Sessions:
    """The doors of one process."""

    def __init__(self, database: Database, *, hours: float, idle_minutes: float) -> None:
        """Take the longest life and the longest idle time of a session."""
        self._database = database
        self._lifetime = timedelta(hours=hours)
        self._idle = timedelta(minutes=idle_minutes)
        self._hashing = asyncio.Semaphore(CONCURRENT_HASHES)
        self._nobody = _nobodys_hash()

    async def login(self, email: str, password: str) -> LoggedIn:
        """Open a session.

        Raises:
            LoginRefused: The same for an unknown address, a wrong password and a locked person.
        """
        # The candidate is read inside, so that a burst of guesses cannot all pass before the first is counted.
        async with self._hashing:
            who = await people.candidate(self._database, email.strip())
            stored = who.password_hash if who else self._nobody
            matches = await asyncio.to_thread(_matches, stored, password)
            if who is None or who.locked:
                raise LoginRefused
            if not matches:
                await people.count_failure(self._database, who.user_id)
                raise LoginRefused
        token = secrets.token_urlsafe(TOKEN_BYTES)
        ends = await people.open_session(self._database, token_hash(token), who.user_id, self._lifetime)
        return LoggedIn(token=token, expires_at=ends, user_id=who.user_id)

    async def logout(self, token: str) -> None:
        """End a session; one that is gone is fine."""
        await people.close_session(self._database, token_hash(token))

    async def find(self, token: str) -> Person | None:
        """Return whose live session the token opens, or ``None``."""
        if not token or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            return None
        return await people.find_session(self._database, token_hash(token), self._idle)


async def create_user(
    database: Database,
    email: str,
    password: str,
    *,
    platform_admin: bool = False,
    roles: Mapping[UUID, TenantRole] | None = None,
) -> bool:
    """Make a person, or add roles to one there is, who keeps their password; return whether they are new.

    Raises:
        PasswordRefused: The address or the password is not usable.
        PersonRefused: They are there, and are asked to become a platform administrator or belong to the tenant already.
    """
    known = await people.candidate(database, email)
    if known is None:
        await put_user(database, email, password, platform_admin=platform_admin, roles=roles)
        return True
    hint = f"`aiops users password {email}` gives a new password."
    if platform_admin:
        raise PersonRefused(f"There is a person {email} already, who was left as they are; {hint}")
    if not await people.add_roles(database, known.user_id, roles or {}):
        raise PersonRefused(f"{email} belongs to that tenant already and was left as they are; {hint}")
    return False


async def set_password(database: Database, email: str, password: str) -> None:
    """Give a person a new password and end their sessions; their roles stay.

    Raises:
        PasswordRefused: The password is not usable.
        PersonRefused: There is no such person.
    """
    if await people.candidate(database, email) is None:
        raise PersonRefused(f"There is no person {email}; `aiops users create` makes one.")
    await put_user(database, email, password)


async def put_user(
    database: Database,
    email: str,
    password: str,
    *,
    platform_admin: bool = False,
    roles: Mapping[UUID, TenantRole] | None = None,
) -> UUID:
    """Make a person, or give them a new password and end their sessions; see :func:`people.put_user`.

    Raises:
        PasswordRefused: The address or the password is not usable.
    """
    if "@" not in email or email != email.strip() or len(email) > MAX_EMAIL_LENGTH:
        raise PasswordRefused(f"{email!r} is not an email address.")
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise PasswordRefused(f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters.")
    hashed = await asyncio.to_thread(_HASHER.hash, password)
    return await people.put_user(database, email.lower(), hashed, platform_admin=platform_admin, roles=roles)


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def _nobodys_hash() -> str:
    """Return a hash of no password, for an unknown address to be compared with in the same time as a wrong password."""
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
