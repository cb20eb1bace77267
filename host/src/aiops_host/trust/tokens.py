"""API tokens: made for a tenant, a role and a time, shown once, and never worth more than their owner is now."""

from __future__ import annotations

import secrets
import string
import zlib
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from aiops_core.errors import AiopsError
from aiops_host.data import tokens as stored
from aiops_host.data.audit import PLATFORM
from aiops_host.data.people import Person
from aiops_host.data.session import Database
from aiops_host.data.tokens import Grant, NewToken
from aiops_host.trust import audit
from aiops_host.trust.audit import Actor
from aiops_host.trust.permissions import PERMISSIONS, Role, allows, lesser
from aiops_host.trust.sessions import token_hash

PREFIX = "aiops_pat_"
"""How every token begins, so that scanners find one that was committed by mistake."""
SECRET_BYTES = 32
SECRET_LENGTH = 43
CHECK_LENGTH = 6
HINT_LENGTH = len(PREFIX) + 4
LONGEST_DAYS = 366
_DIGITS = string.digits + string.ascii_letters


class TokenRefused(AiopsError):
    """The token cannot be made."""


class UnknownPermission(TokenRefused):
    """A permission asked for is none."""


class TokenWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token somebody asks for.

    ``permissions`` narrows the role further; left out, the token may do what the role may. Without a ``tenant`` the
    token of a platform administrator reaches every tenant; everybody else names one of theirs.
    """

    name: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"\S", examples=["Nightly report"])]
    tenant: Annotated[str, Meta(max_length=63)] | None = None
    role: Role = "read-only"
    permissions: Annotated[list[str], Meta(min_length=1, max_length=100)] | None = None
    days: Annotated[int, Meta(ge=1, le=LONGEST_DAYS)] = 90


class MadeToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token, shown this once."""

    id: UUID
    token: str
    name: str
    tenant: str | None
    role: Role
    permissions: list[str] | None
    expires_at: datetime

    def __repr__(self) -> str:
        return f"MadeToken(id={self.id!r}, name={self.name!r})"


class Tokens:
    """The API tokens of an installation."""

    def __init__(self, database: Database) -> None:
        """Take where they are stored."""
        self._database = database

    async def find(self, token: str) -> tuple[Person, Grant] | None:
        """Return whose token it is and what it may reach at most, or ``None``."""
        return await stored.find(self._database, token_hash(token)) if well_formed(token) else None

    async def make(
        self, owner: Person, tenant: tuple[UUID, str, Role] | None, wish: TokenWish, actor: Actor | None = None
    ) -> MadeToken:
        """Make a token for a person.

        Args:
            owner: Whose it is.
            tenant: The tenant it is for, by id and slug, with the owner's role there; ``None`` for every tenant.
            wish: What it may do, and how long.
            actor: Who makes it; the owner if not given.

        Raises:
            TokenRefused: It would be worth more than its owner is, or asks for what no token may have.
        """
        _refuse_beyond_owner(owner, tenant, wish)
        _refuse_beyond_role(wish)
        token = new_token()
        chain, where = (tenant[0], tenant[1]) if tenant else (PLATFORM, "every tenant")
        new = NewToken(
            user_id=owner.user_id,
            tenant_id=tenant[0] if tenant else None,
            name=wish.name.strip(),
            hint=token[:HINT_LENGTH],
            role=wish.role,
            permissions=wish.permissions,
            lifetime=timedelta(days=wish.days),
        )
        async with self._database.tenant(chain) as con:
            token_id, expires = await stored.put(con, token_hash(token), new)
            await audit.record(
                con,
                tenant_id=chain,
                actor=actor or audit.person(owner.email, owner.user_id),
                act="token.make",
                subject=str(token_id),
                details={"owner": owner.email, "name": new.name, "role": wish.role, "tenant": where},
            )
        return MadeToken(
            id=token_id,
            token=token,
            name=new.name,
            tenant=tenant[1] if tenant else None,
            role=wish.role,
            permissions=wish.permissions,
            expires_at=expires,
        )

    async def revoke(
        self, token_id: UUID, actor: Actor, *, user_id: UUID | None = None, tenant_id: UUID | None = None
    ) -> None:
        """Revoke a token of a person, one that was made for a tenant, or, with neither, any.

        Raises:
            UnknownToken: There is none of that id, or it is not theirs.
        """
        chain = tenant_id or PLATFORM
        async with self._database.tenant(chain) as con:
            name = await stored.drop(con, token_id, user_id=user_id, tenant_id=tenant_id)
            await audit.record(
                con,
                tenant_id=chain,
                actor=actor,
                act="token.revoke",
                subject=str(token_id),
                details={"name": name},
            )


def new_token() -> str:
    """Return a fresh token: its prefix, 256 random bits and a checksum, by which a scanner knows a real one."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return PREFIX + secret + _checksum(secret)


def well_formed(token: str) -> bool:
    """Return whether it looks like a token of ours; nothing is asked of the database for what does not."""
    secret = token[len(PREFIX) : -CHECK_LENGTH]
    return (
        token.startswith(PREFIX)
        and token.isascii()
        and len(secret) == SECRET_LENGTH
        and token.endswith(_checksum(secret))
    )


def _refuse_beyond_owner(owner: Person, tenant: tuple[UUID, str, Role] | None, wish: TokenWish) -> None:
    if tenant is None and not owner.platform_admin:
        raise TokenRefused("Name the tenant the token is for; only a platform administrator's may reach them all.")
    own: Role = tenant[2] if tenant else "platform-admin"
    if lesser(wish.role, own) != wish.role:
        raise TokenRefused(f"You are {own} there, so the token cannot be {wish.role}.")
    if tenant is not None and wish.role == "platform-admin":
        raise TokenRefused("A token for one tenant is tenant-admin at most; leave the tenant out, or choose less.")


def _refuse_beyond_role(wish: TokenWish) -> None:
    for name in wish.permissions or ():
        entry = PERMISSIONS.get(name)
        if entry is None or entry.scope == "public":
            raise UnknownPermission(f"There is no permission {name!r}.")
        if not entry.by_token:
            raise TokenRefused(f"The permission {name} is for people who are logged in, not for tokens.")
        if not allows(name, wish.role):
            raise TokenRefused(f"The role {wish.role} does not have the permission {name}.")


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode())
    digits = []
    for _ in range(CHECK_LENGTH):
        number, place = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[place])
    return "".join(digits)
