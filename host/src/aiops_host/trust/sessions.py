"""Logins and sessions: opaque tokens of 256 bits of which only the hash is stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data import people
from aiops_host.data.audit import PLATFORM
from aiops_host.data.people import NOWHERE, Candidate, Origin, Person, SessionView
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.attempts import Attempts, TooManyAttempts
from aiops_host.trust.passwords import Passwords
from aiops_host.trust.refused_logins import RefusedLogins, Why

TOKEN_BYTES = 32
MAX_TOKEN_LENGTH = 64
MAX_FAILURES = 30


class LoginRefused(AiopsError):
    """Wrong email or password, or too many failed attempts; wait a moment and try again."""


class CodeNeeded(AiopsError):
    """Enter the code your authenticator app shows, or one of your recovery codes."""


class CodeRefused(AiopsError):
    """The code is wrong or was used before; wait for the next one."""


class UnknownSession(AiopsError):
    """There is no such session."""


class LoggedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh session. ``token`` is shown this once."""

    token: str
    expires_at: datetime
    user_id: UUID

    def __repr__(self) -> str:
        return f"LoggedIn(user_id={self.user_id!r})"


class CodeCheck(Protocol):
    """Knows whether a code is one of a person's second factor, and uses it up."""

    async def check(self, user_id: UUID, code: str) -> bool:
        """Return whether the code is right and was not used before."""


class Sessions:
    """The doors of one process."""

    def __init__(
        self,
        database: Database,
        *,
        hours: float,
        idle_minutes: float,
        factors: CodeCheck | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        """Take the longest life and idle time of a session, who checks codes, and who counts failures by address."""
        self._database = database
        self._lifetime = timedelta(hours=hours)
        self._idle = timedelta(minutes=idle_minutes)
        self._factors = factors
        self.passwords = Passwords()
        self.attempts = attempts or Attempts(MAX_FAILURES)
        self.refused = RefusedLogins()

    async def login(self, email: str, password: str, *, code: str | None = None, origin: Origin = NOWHERE) -> LoggedIn:
        """Open a session for who knows the password, and has the second factor where the person has one.

        Raises:
            LoginRefused: The same for an unknown address, a wrong password, a locked and a deactivated person.
            CodeNeeded: The password is right, and a code was not given.
            CodeRefused: The password is right, and the code is not.
            TooManyAttempts: The address failed too often.
        """
        who = await self.prove(email, password, code=code, address=origin.address)
        return await self.open(who.user_id, who.email, origin)

    async def prove(self, email: str, password: str, *, code: str | None = None, address: str = "") -> Candidate:
        """Return the person whose email, password and code these are; raises as :meth:`login` does."""
        # The candidate is read inside, so that a burst of guesses cannot all pass before the first is counted.
        async with self.passwords.turn:
            self._check_address(address)
            who = await people.candidate(self._database, email.strip())
            matches = await self.passwords.match(who.password_hash if who else "", password)
            if who is None or who.locked or not who.active:
                self.attempts.failed(address)
                self.refused.note("password", _why(who), address, who.email if who else "")
                raise LoginRefused
            if not matches:
                await self._failed(who, address, "password")
                raise LoginRefused
            if who.second_factor:
                await self._check_code(who, code, address)
        return who

    async def prove_password(self, person: Person, password: str, *, address: str = "") -> None:
        """Refuse who is logged in but does not know the password, as somebody at an open screen.

        Raises:
            LoginRefused: The password is wrong, or the person is locked out.
            TooManyAttempts: The address failed too often.
        """
        async with self.passwords.turn:
            self._check_address(address)
            who = await people.candidate(self._database, person.email)
            matches = await self.passwords.match(who.password_hash if who else "", password)
            if who is None or who.locked or not matches:
                if who and not who.locked:
                    await self._failed(who, address, "password")
                else:
                    self.attempts.failed(address)
                    self.refused.note("password", _why(who), address, who.email if who else "")
                raise LoginRefused("The password is wrong, or too many attempts failed; wait a moment and try again.")

    async def open(self, user_id: UUID, email: str, origin: Origin = NOWHERE) -> LoggedIn:
        """Open a session for a person whose word was taken; every session has an id of its own, and stands in the trail.

        Raises:
            LoginRefused: They were deactivated.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._database.tenant(PLATFORM) as con:
            ends = await people.open_session(con, token_hash(token), user_id, self._lifetime, origin)
            if ends is None:
                self.refused.note(origin.method, "deactivated", origin.address, email)
                raise LoginRefused
            await audit.record(
                con,
                tenant_id=None,
                actor=audit.person(email, user_id),
                act="login.accept",
                subject=email,
                details={"way": origin.method, "address": origin.address, "agent": origin.agent},
            )
        return LoggedIn(token=token, expires_at=ends, user_id=user_id)

    async def logout(self, token: str) -> None:
        """End a session; one that is gone is fine."""
        await people.close_session(self._database, token_hash(token))

    async def find(self, token: str) -> Person | None:
        """Return whose live session the token opens, or ``None``."""
        if not token or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            return None
        return await people.find_session(self._database, token_hash(token), self._idle)

    async def list_(self, person: Person) -> list[SessionView]:
        """Return the person's live sessions, the one used last first."""
        return await people.list_sessions(self._database, person.user_id, self._idle, person.session_id)

    async def end(self, person: Person, session_id: UUID | None = None) -> int:
        """End one of the person's sessions, or all of them; return how many ended.

        Raises:
            UnknownSession: They have none of that id.
        """
        async with self._database.tenant(PLATFORM) as con:
            ended = await people.end_sessions(con, person.user_id, session_id)
            if session_id and not ended:
                raise UnknownSession
            await audit.record(
                con,
                tenant_id=None,
                actor=audit.person(person.email, person.user_id),
                act="session.end",
                subject=person.email,
                details={"ended": str(ended)},
            )
        return ended

    async def change_password(self, person: Person, current: str, new: str, origin: Origin = NOWHERE) -> LoggedIn:
        """Give a person a new password, end all their sessions and open one anew.

        Raises:
            LoginRefused: The current password is wrong.
            PasswordRefused: The new one is not usable.
            TooManyAttempts: The address failed too often.
        """
        await self.prove_password(person, current, address=origin.address)
        hashed = await self.passwords.hash(new)
        async with self._database.tenant(PLATFORM) as con:
            await people.put_person(con, person.email, hashed)
            await audit.record(
                con,
                tenant_id=None,
                actor=audit.person(person.email, person.user_id),
                act="person.password",
                subject=person.email,
            )
        return await self.open(person.user_id, person.email, origin)

    def _check_address(self, address: str) -> None:
        try:
            self.attempts.check(address)
        except TooManyAttempts:
            self.refused.note("password", "address", address)
            raise

    async def _check_code(self, who: Candidate, code: str | None, address: str) -> None:
        if code is None:
            raise CodeNeeded
        if self._factors is None or not await self._factors.check(who.user_id, code):
            await self._failed(who, address, "code")
            raise CodeRefused

    async def _failed(self, who: Candidate, address: str, why: Why) -> None:
        self.attempts.failed(address)
        self.refused.note("password", why, address, who.email)
        await people.count_failure(self._database, who.user_id)


def _why(who: Candidate | None) -> Why:
    """Return why nobody's password helps here."""
    if who is None:
        return "unknown"
    return "locked" if who.locked else "deactivated"


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()
