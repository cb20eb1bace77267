"""People as an operator makes them: with a password at once, and a first role."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from aiops_core.errors import AiopsError
from aiops_host.data import people
from aiops_host.data.audit import PLATFORM
from aiops_host.data.people import TenantRole
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.passwords import Passwords, check_email, check_password


class PersonRefused(AiopsError):
    """The person cannot be made or changed."""


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
    check_email(email)
    known = await people.candidate(database, email)
    if known is None:
        user_id = await put_user(database, email, password, platform_admin=platform_admin)
    else:
        user_id = known.user_id
    hint = f"`aiops users password {email}` gives a new password."
    if known and platform_admin:
        raise PersonRefused(
            f"There is a person {email} already, who was left as they are; `aiops users promote` makes them a platform "
            f"administrator. {hint}"
        )
    for tenant_id, role in (roles or {}).items():
        async with database.tenant(tenant_id) as con:
            if not await people.add_membership(con, tenant_id, user_id, role):
                raise PersonRefused(f"{email} belongs to that tenant already and was left as they are; {hint}")
            details = {"role": role}
            await audit.record(
                con, tenant_id=tenant_id, actor=audit.operator(), act="member.add", subject=email, details=details
            )
    return known is None


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
    """Make a person, or give them a new password and end their sessions; roles are added or changed, never taken away.

    Raises:
        PasswordRefused: The address or the password is not usable.
    """
    check_email(email)
    check_password(password)
    hashed = await Passwords().hash(password)
    async with database.tenant(PLATFORM) as con:
        user_id = await people.put_person(con, email, hashed, platform_admin=platform_admin)
        await audit.record(con, tenant_id=None, actor=audit.operator(), act="person.put", subject=email)
    for tenant_id, role in (roles or {}).items():
        async with database.tenant(tenant_id) as con:
            await people.put_membership(con, tenant_id, user_id, role)
    return user_id
