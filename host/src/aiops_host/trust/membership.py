"""What administrators do with people: roles, membership, promotion, and keeping somebody out."""

from __future__ import annotations

from uuid import UUID

from aiops_core.errors import AiopsError
from aiops_host.data import members, people
from aiops_host.data.audit import PLATFORM
from aiops_host.data.members import Changed, UnknownPerson
from aiops_host.data.people import TenantRole
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.accounts import PersonRefused
from aiops_host.trust.audit import Actor
from aiops_host.trust.passwords import check_email


class LastAdministrator(AiopsError):
    """Nobody else could administer this then; make somebody else administrator first."""


async def change_role(database: Database, tenant_id: UUID, user_id: UUID, role: TenantRole, actor: Actor) -> None:
    """Give a member another role, which ends their sessions.

    Raises:
        UnknownPerson: The tenant has no such member.
        LastAdministrator: They are the tenant's only administrator.
    """
    await _change(database, tenant_id, user_id, role, actor)


async def remove(database: Database, tenant_id: UUID, user_id: UUID, actor: Actor) -> None:
    """Take a member out of a tenant: their sessions end, their tokens for it are revoked.

    Raises:
        UnknownPerson: The tenant has no such member.
        LastAdministrator: They are the tenant's only administrator.
    """
    await _change(database, tenant_id, user_id, None, actor)


async def make_person(database: Database, email: str, actor: Actor, *, platform_admin: bool) -> UUID:
    """Make a person without a password, for whom a link is made next.

    Raises:
        PersonRefused: There is a person of that address.
        PasswordRefused: It is no address.
    """
    check_email(email)
    async with database.tenant(PLATFORM) as con:
        user_id = await members.make_person(con, email, platform_admin=platform_admin)
        if user_id is None:
            raise PersonRefused(f"There is a person {email} already, who was left as they are.")
        details = {"platform_admin": str(platform_admin).lower()}
        await audit.record(con, tenant_id=None, actor=actor, act="person.make", subject=email, details=details)
    return user_id


async def change_person(
    database: Database, user_id: UUID, actor: Actor, *, platform_admin: bool | None = None, active: bool | None = None
) -> None:
    """Promote or demote a person, let them in or keep them out; ends their sessions where it changes anything.

    Whoever is kept out keeps roles and tokens, but nothing opens with them; they come back by being let in again.

    Raises:
        UnknownPerson: There is none of that id.
        LastAdministrator: They are the only platform administrator who may log in.
    """
    async with database.tenant(PLATFORM) as con:
        _refuse(await members.change_person(con, user_id, platform_admin=platform_admin, active=active), PLATFORM)
        wanted = {"platform_admin": platform_admin, "active": active}
        await audit.record(
            con,
            tenant_id=None,
            actor=actor,
            act="person.change",
            subject=await members.email_of(con, user_id),
            details={name: str(value).lower() for name, value in wanted.items() if value is not None},
        )


async def end_sessions(database: Database, user_id: UUID, actor: Actor) -> int:
    """Log a person out everywhere; return how many sessions ended.

    Raises:
        UnknownPerson: There is none of that id.
    """
    async with database.tenant(PLATFORM) as con:
        email = await members.email_of(con, user_id)
        ended = await people.end_sessions(con, user_id)
        details = {"ended": str(ended)}
        await audit.record(con, tenant_id=None, actor=actor, act="session.end", subject=email, details=details)
    return ended


async def _change(database: Database, tenant_id: UUID, user_id: UUID, role: TenantRole | None, actor: Actor) -> None:
    async with database.tenant(tenant_id) as con:
        _refuse(await members.change(con, user_id, role), tenant_id)
        email = await members.email_of(con, user_id)
        act, details = ("member.change", {"role": role}) if role else ("member.remove", {})
        await audit.record(con, tenant_id=tenant_id, actor=actor, act=act, subject=email, details=details)


def _refuse(changed: Changed, where: UUID) -> None:
    if changed == "unknown":
        raise UnknownPerson
    if changed == "last":
        which = "the only platform administrator" if where == PLATFORM else "the tenant's only administrator"
        raise LastAdministrator(f"This is {which} who may log in; make somebody else one first. Nothing was changed.")
