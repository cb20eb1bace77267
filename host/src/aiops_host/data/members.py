"""Members of a tenant, invitations to it, and the people of the installation."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data.cursors import CursorInvalid
from aiops_host.data.people import TenantRole
from aiops_host.data.session import Connection, Database

MAX_PAGE = 200

Changed = Literal["changed", "unknown", "last"]
"""``last``: nothing was changed, because nobody else could administer what this person does."""


class UnknownPerson(AiopsError):
    """There is no such person."""


class UnknownInvitation(AiopsError):
    """There is no such invitation."""


class MemberView(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a tenant. ``active`` is false for whoever may not log in any more."""

    user_id: UUID
    email: str
    role: TenantRole
    active: bool
    second_factor: bool
    since: datetime


class MemberPage(msgspec.Struct, frozen=True, kw_only=True):
    """Members by address; ``next`` asks for the page after this one."""

    items: list[MemberView]
    next: str | None


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """A person of the installation, with the tenants they belong to. ``locked``: too many wrong passwords just now."""

    user_id: UUID
    email: str
    platform_admin: bool
    active: bool
    second_factor: bool
    locked: bool
    tenants: list[str]
    last_seen_at: datetime | None
    created_at: datetime


class PersonPage(msgspec.Struct, frozen=True, kw_only=True):
    """People by address; ``next`` asks for the page after this one."""

    items: list[PersonView]
    next: str | None


class InvitationView(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation nobody has accepted yet."""

    id: UUID
    email: str
    role: TenantRole
    invited_by: str
    created_at: datetime
    expires_at: datetime


class Invited(msgspec.Struct, frozen=True, kw_only=True):
    """What an invitation's link leads to. ``user_id`` is ``None`` while nobody has the address."""

    tenant_id: UUID
    slug: str
    name: str
    email: str
    role: TenantRole
    shown: bool
    expires_at: datetime
    user_id: UUID | None


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation to store; ``shown``: somebody else than the person sees the link."""

    email: str
    role: TenantRole
    invited_by: str
    token_hash: bytes
    lifetime: timedelta
    shown: bool


async def list_(database: Database, tenant_id: UUID, *, limit: int, cursor: str | None = None) -> MemberPage:
    """Return a page of the tenant's members.

    Raises:
        CursorInvalid: The cursor is not one an earlier page gave.
    """
    limit = max(1, min(limit, MAX_PAGE))
    async with database.tenant(tenant_id) as con:
        rows = await con.fetch("select * from member_directory($1, $2)", _address_of(cursor), limit + 1)
    items = [MemberView(**dict(row)) for row in rows[:limit]]
    return MemberPage(items=items, next=_cursor_of(items[-1].email) if len(rows) > limit else None)


async def change(con: Connection, user_id: UUID, role: TenantRole | None) -> Changed:
    """Give a member of the session's tenant another role, or none: they leave, and their tokens for it go with them."""
    changed: Changed = await con.fetchval("select member_change($1, $2)", user_id, role)
    return changed


async def email_of(con: Connection, user_id: UUID) -> str:
    """Return the address of a person.

    Raises:
        UnknownPerson: There is none of that id.
    """
    row = await con.fetchrow("select email from person_directory(null, 1, $1)", user_id)
    if row is None:
        raise UnknownPerson
    return str(row["email"])


async def people(database: Database, *, limit: int, cursor: str | None = None) -> PersonPage:
    """Return a page of everybody.

    Raises:
        CursorInvalid: The cursor is not one an earlier page gave.
    """
    limit = max(1, min(limit, MAX_PAGE))
    async with database.role("app") as con:
        rows = await con.fetch("select * from person_directory($1, $2, null)", _address_of(cursor), limit + 1)
    items = [PersonView(**dict(row)) for row in rows[:limit]]
    return PersonPage(items=items, next=_cursor_of(items[-1].email) if len(rows) > limit else None)


async def person(database: Database, user_id: UUID) -> PersonView:
    """Return one person.

    Raises:
        UnknownPerson: There is none of that id.
    """
    async with database.role("app") as con:
        row = await con.fetchrow("select * from person_directory(null, 1, $1)", user_id)
    if row is None:
        raise UnknownPerson
    return PersonView(**dict(row))


async def make_person(con: Connection, email: str, *, platform_admin: bool) -> UUID | None:
    """Make a person without a password; ``None`` if somebody has the address."""
    made: UUID | None = await con.fetchval("select person_make($1, $2, $3)", uuid4(), email, platform_admin)
    return made


async def change_person(
    con: Connection, user_id: UUID, *, platform_admin: bool | None = None, active: bool | None = None
) -> Changed:
    """Promote or demote, let in or keep out; ``None`` leaves as it is. Every session of the person ends by a change."""
    changed: Changed = await con.fetchval("select person_change($1, $2, $3)", user_id, platform_admin, active)
    return changed


async def invite(con: Connection, tenant_id: UUID, new: NewInvitation) -> InvitationView | None:
    """Store an invitation in place of an earlier one to the same address; ``None`` for who belongs there already."""
    if await con.fetchval(
        "select exists(select 1 from member_directory(null, null) m where m.email = lower($1))", new.email
    ):
        return None
    row = await con.fetchrow(
        "insert into invitation (tenant_id, invitation_id, email, role, token_hash, invited_by, shown, expires_at) "
        "values ($1, $2, lower($3), $4, $5, $6, $7, now() + $8) on conflict (tenant_id, email) do update set "
        "invitation_id = excluded.invitation_id, role = excluded.role, token_hash = excluded.token_hash, "
        "invited_by = excluded.invited_by, shown = excluded.shown, created_at = now(), "
        "expires_at = excluded.expires_at "
        "returning invitation_id as id, email, role, invited_by, created_at, expires_at",
        tenant_id,
        uuid4(),
        new.email,
        new.role,
        new.token_hash,
        new.invited_by,
        new.shown,
        new.lifetime,
    )
    return InvitationView(**dict(row))


async def show_invitation(con: Connection, tenant_id: UUID, invitation_id: UUID) -> None:
    """Remember that somebody else than the person saw the link."""
    await con.execute(
        "update invitation set shown = true where tenant_id = $1 and invitation_id = $2", tenant_id, invitation_id
    )


async def invitations(database: Database, tenant_id: UUID) -> list[InvitationView]:
    """Return the tenant's open invitations, the newest first; those that have expired are not open."""
    async with database.tenant(tenant_id) as con:
        rows = await con.fetch(
            "select invitation_id as id, email, role, invited_by, created_at, expires_at from invitation "
            "where tenant_id = $1 and expires_at > now() order by created_at desc, invitation_id limit $2",
            tenant_id,
            MAX_PAGE,
        )
    return [InvitationView(**dict(row)) for row in rows]


async def withdraw(con: Connection, tenant_id: UUID, invitation_id: UUID) -> str:
    """Take an invitation back; return whose it was.

    Raises:
        UnknownInvitation: The tenant has none of that id.
    """
    email: str | None = await con.fetchval(
        "delete from invitation where tenant_id = $1 and invitation_id = $2 returning email", tenant_id, invitation_id
    )
    if email is None:
        raise UnknownInvitation
    return email


async def invited(database: Database, token_hash: bytes) -> Invited | None:
    """Return what an invitation's link leads to; ``None`` once it was used, taken back or has expired."""
    async with database.role("app") as con:
        row = await con.fetchrow("select * from invitation_look($1)", token_hash)
    return Invited(**dict(row)) if row else None


async def accept(con: Connection, token_hash: bytes, password_hash: str) -> UUID | None:
    """Use an invitation up: make the person if there is none, and the membership; ``None`` if it is not open."""
    who: UUID | None = await con.fetchval("select invitation_accept($1, $2, $3)", token_hash, uuid4(), password_hash)
    return who


async def invitations_of(database: Database, email: str) -> list[bytes]:
    """Return the hashes of every open invitation to an address, in any tenant; the oldest first."""
    async with database.role("app") as con:
        return [row["token"] for row in await con.fetch("select invitations_of($1) as token", email)]


def _cursor_of(email: str) -> str:
    return base64.urlsafe_b64encode(email.encode()).decode().rstrip("=")


def _address_of(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise CursorInvalid from None
