"""Second factors: codes by time (RFC 6238), each good once, and recovery codes for a lost device."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data import factors as stored
from aiops_host.data import members
from aiops_host.data.audit import PLATFORM
from aiops_host.data.people import Person
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.audit import Actor
from aiops_host.trust.sessions import CodeRefused
from aiops_host.trust.vault import INSTALLATION, SecretName, SecretUnreadable, Vault

if TYPE_CHECKING:
    from aiops_host.data.factors import Factor

log = logging.getLogger(__name__)

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
DRIFT = 1
"""Steps a device's clock may be off, either way."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
GROUP = 4


class FactorRefused(AiopsError):
    """You have a second factor already; remove it before you enrol another device."""


class FactorMissing(AiopsError):
    """There is no second factor to confirm or remove; begin with enrolling a device."""


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app is enrolled with, shown this once: as a link, as a picture of it, and to type in."""

    uri: str
    secret: str
    svg: str

    def __repr__(self) -> str:
        return "Enrolment()"


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Codes to log in with when the device is lost, each once; shown this once."""

    codes: list[str]

    def __repr__(self) -> str:
        return f"RecoveryCodes({len(self.codes)})"


class FactorState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a person has a second factor, since when, and how many recovery codes are left."""

    enrolled: bool
    since: datetime | None
    recovery_codes: int


class SecondFactors:
    """The second factors of an installation; their secrets are sealed with its own key."""

    def __init__(
        self, database: Database, vault: Vault, issuer: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Take what seals the secrets, and what authenticator apps call this installation."""
        self._database = database
        self._vault = vault
        self._issuer = issuer
        self._clock = clock

    async def state(self, person: Person) -> FactorState:
        """Return whether the person has a second factor."""
        found = await stored.find(self._database, person.user_id)
        since = found.confirmed_at if found else None
        codes = found.codes if found and since else 0
        return FactorState(enrolled=since is not None, since=since, recovery_codes=codes)

    async def begin(self, person: Person) -> Enrolment:
        """Make a secret for a device; it counts only once a code of the device confirms it.

        Raises:
            FactorRefused: The person has a confirmed one.
        """
        before = await stored.find(self._database, person.user_id)
        version = before.version + 1 if before else 1
        secret = secrets.token_bytes(SECRET_BYTES)
        async with self._database.tenant(INSTALLATION) as con:
            sealed = await self._vault.seal(con, _name(person.user_id, version), secret.hex())
            if not await stored.begin(con, person.user_id, sealed, version):
                raise FactorRefused
        uri = uri_of(secret, person.email, self._issuer)
        return Enrolment(uri=uri, secret=_base32(secret), svg=qr_code(uri))

    async def confirm(self, person: Person, code: str) -> RecoveryCodes:
        """Have the second factor count from now on, and return the recovery codes.

        Raises:
            FactorMissing: The person has not begun, or has confirmed already.
            CodeRefused: The code is not the device's.
        """
        found = await stored.find(self._database, person.user_id)
        if found is None or found.confirmed_at is not None:
            raise FactorMissing
        step = matching_step(await self._secret(person.user_id, found), code, self._clock())
        if step is None:
            raise CodeRefused
        return await self._with_codes(person, step, "factor.enrol")

    async def renew_codes(self, person: Person, code: str) -> RecoveryCodes:
        """Replace all recovery codes.

        Raises:
            FactorMissing: The person has no second factor.
            CodeRefused: The code is wrong or was used before.
        """
        found = await stored.find(self._database, person.user_id)
        if found is None or found.confirmed_at is None:
            raise FactorMissing
        step = matching_step(await self._secret(person.user_id, found), code, self._clock())
        if step is None:
            raise CodeRefused
        return await self._with_codes(person, step, "factor.renew-codes")

    async def check(self, user_id: UUID, code: str) -> bool:
        """Return whether the code is one of the device's or a recovery code, and use it up."""
        found = await stored.find(self._database, user_id)
        if found is None or found.confirmed_at is None:
            return False
        typed = _typed(code)
        if len(typed) == DIGITS and typed.isdecimal():
            try:
                step = matching_step(await self._secret(user_id, found), typed, self._clock())
            except SecretUnreadable as error:
                log.error("the second factor of %s does not open: %s", user_id, error)
                return False
            if step is None:
                return False
            async with self._database.tenant(PLATFORM) as con:
                return await stored.use_step(con, user_id, step)
        return await self._recover(user_id, typed)

    async def remove(self, user_id: UUID, actor: Actor) -> None:
        """Take a second factor and its recovery codes away.

        Raises:
            FactorMissing: There is none.
            UnknownPerson: There is nobody of that id.
        """
        async with self._database.tenant(PLATFORM) as con:
            email = await members.email_of(con, user_id)
            if not await stored.remove(con, user_id):
                raise FactorMissing
            await audit.record(con, tenant_id=None, actor=actor, act="factor.remove", subject=email)

    async def _with_codes(self, person: Person, step: int, act: str) -> RecoveryCodes:
        codes = [recovery_code() for _ in range(RECOVERY_CODES)]
        async with self._database.tenant(PLATFORM) as con:
            if not await stored.use_step(con, person.user_id, step):
                raise CodeRefused
            await stored.put_codes(con, person.user_id, [_hash(_typed(code)) for code in codes])
            actor = audit.person(person.email, person.user_id)
            await audit.record(con, tenant_id=None, actor=actor, act=act, subject=person.email)
        return RecoveryCodes(codes=codes)

    async def _recover(self, user_id: UUID, typed: str) -> bool:
        async with self._database.tenant(PLATFORM) as con:
            if not await stored.use_code(con, user_id, _hash(typed)):
                return False
            email = await members.email_of(con, user_id)
            actor = audit.person(email, user_id)
            await audit.record(con, tenant_id=None, actor=actor, act="factor.recover", subject=email)
        return True

    async def _secret(self, user_id: UUID, factor: Factor) -> bytes:
        try:
            return await self._opened(user_id, factor)
        except SecretUnreadable:
            # It may have been sealed anew, and its old key dropped, since it was read.
            again = await stored.find(self._database, user_id)
            if again is None or again.sealed == factor.sealed:
                raise
            return await self._opened(user_id, again)

    async def _opened(self, user_id: UUID, factor: Factor) -> bytes:
        await self._vault.prepare(self._database, INSTALLATION, [factor.sealed])
        return bytes.fromhex(self._vault.open(_name(user_id, factor.version), factor.sealed))


def code_at(secret: bytes, step: int, *, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """Return the code of a time step: HOTP (RFC 4226) of the step's number."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), algorithm)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, code: str, now: float) -> int | None:
    """Return the step whose code this is, of this moment or one beside it; ``None`` if it is of none."""
    typed = _typed(code).encode()
    current = int(now // STEP_SECONDS)
    steps = range(current - DRIFT, current + DRIFT + 1)
    return next((step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), typed)), None)


def uri_of(secret: bytes, email: str, issuer: str) -> str:
    """Return what authenticator apps read: https://github.com/google/google-authenticator/wiki/Key-Uri-Format."""
    label = f"{quote(issuer, safe='')}:{quote(email, safe='@')}"
    return f"otpauth://totp/{label}?{urlencode({'secret': _base32(secret), 'issuer': issuer}, quote_via=quote)}"


def issuer_of(installation: str) -> str:
    """Return what authenticator apps call an installation."""
    return "AI Ops" if installation == "aiops" else f"AI Ops {installation}"


def qr_code(text: str) -> str:
    """Return a QR code as an SVG document."""
    import segno  # noqa: PLC0415 - for people who enrol, not for every start

    svg: str = segno.make_qr(text, error="m").svg_inline(border=4, dark="#000", light="#fff", omitsize=True)
    return svg


def recovery_code() -> str:
    """Return 80 random bits in groups that can be read out."""
    text = _base32(secrets.token_bytes(RECOVERY_BYTES))
    return "-".join(text[i : i + GROUP] for i in range(0, len(text), GROUP))


def _base32(value: bytes) -> str:
    return base64.b32encode(value).decode().rstrip("=")


def _typed(code: str) -> str:
    """Return a code as it is compared, however it was grouped."""
    return "".join(c for c in code.upper() if c.isalnum())


def _hash(code: str) -> bytes:
    # Of 80 random bits: there is no list to try, so a plain hash is as good as a slow one.
    return hashlib.sha256(code.encode()).digest()


def _name(user_id: UUID, version: int) -> SecretName:
    return SecretName(
        tenant_id=INSTALLATION,
        owner_kind=stored.OWNER_KIND,
        owner_id=str(user_id),
        name=stored.NAME,
        version=version,
    )
