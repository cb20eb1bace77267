"""Invitations accepted and passwords chosen by one-time links, by people who are not logged in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT
from msgspec import Meta

from aiops_host.data.members import Invited
from aiops_host.data.people import TenantRole
from aiops_host.web.access import asks, visitor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.people import Code, Email, Password
from aiops_host.web.problems import Problem, Refused, documented

LinkToken = Annotated[str, Meta(min_length=1, max_length=64, description="What stands after `token=` in the link")]


class LinkFollowed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link somebody follows."""

    token: LinkToken

    def __repr__(self) -> str:
        return "LinkFollowed()"


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person accepts: whoever is new chooses the password, whoever has an account proves it with theirs."""

    token: LinkToken
    password: Password
    code: Code | None = None

    def __repr__(self) -> str:
        return "Acceptance()"


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password chosen by a link."""

    token: LinkToken
    password: Annotated[str, Meta(min_length=12, max_length=1024)]

    def __repr__(self) -> str:
        return "NewPassword()"


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose password is lost."""

    email: Email


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The same for every address."""

    detail: str = "If somebody has this address here, a mail with a link is on its way to them."


class InvitationFound(msgspec.Struct, frozen=True, kw_only=True):
    """What an invitation is for."""

    email: str
    tenant: str
    name: str
    role: TenantRole
    expires_at: datetime


class ResetFound(msgspec.Struct, frozen=True, kw_only=True):
    """Whose password the link changes."""

    email: str
    expires_at: datetime


@post(
    "/invitations/look",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(400, 410, 503),
    summary="See what an invitation is for",
    tags=["people"],
)
async def look_at_invitation(data: JSONBody[LinkFollowed], parts: WithParts) -> InvitationFound:
    """Return what an invitation is for; it stays as it is."""
    return _found(await parts.links.invited(data.token))


@post(
    "/invitations/accept",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(400, 401, 403, 410, 422, 503),
    summary="Accept an invitation",
    description="Whoever is new chooses a password; whoever has an account here gives theirs. Log in afterwards.",
    tags=["people"],
)
async def accept_invitation(
    data: JSONBody[Acceptance], request: Request[Any, Any, Any], parts: WithParts
) -> InvitationFound:
    """Accept an invitation; the link works once."""
    parts.access.refuse_foreign_origin(request)
    address = parts.peers.address_of(request)
    return _found(await parts.links.accept(data.token, data.password, code=data.code, address=address))


@post(
    "/me/invitations",
    opt=asks("account"),
    status_code=HTTP_200_OK,
    responses=documented(400, 401, 403, 410, 503),
    summary="Accept an invitation as who is logged in",
    description="For people who log in through a provider and have no password. Sessions end, because roles change.",
    tags=["account"],
)
async def accept_as_me(
    data: JSONBody[LinkFollowed], request: Request[Any, Any, Any], parts: WithParts
) -> InvitationFound:
    """Accept an invitation to the own address."""
    return _found(await parts.links.accept_as(visitor_of(request).person, data.token))


@post(
    "/password/forgot",
    opt=asks("public"),
    status_code=HTTP_202_ACCEPTED,
    responses=documented(400, 403, 409, 503),
    summary="Have a link for a new password mailed",
    description="Answers the same whether or not somebody has the address. 409 `mail-missing` without a mail server.",
    tags=["people"],
)
async def forgot_password(data: JSONBody[Forgotten], request: Request[Any, Any, Any], parts: WithParts) -> Asked:
    """Mail a link to the person of the address, if there is one."""
    parts.access.refuse_foreign_origin(request)
    if not parts.links.mails:
        detail = "This installation sends no mail; ask the person who runs it for a new password."
        raise Refused(Problem(status=409, code="mail-missing", detail=detail))
    parts.links.forgot_soon(data.email, parts.peers.address_of(request))
    return Asked()


@post(
    "/password/look",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(400, 410, 503),
    summary="See whose password a link changes",
    tags=["people"],
)
async def look_at_reset(data: JSONBody[LinkFollowed], parts: WithParts) -> ResetFound:
    """Return whose link it is; it stays as it is."""
    found = await parts.links.whose(data.token)
    return ResetFound(email=found.email, expires_at=found.expires_at)


@post(
    "/password/reset",
    opt=asks("public"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(400, 403, 410, 422, 503),
    summary="Choose a new password by a one-time link",
    description="The person is logged out everywhere. Log in afterwards.",
    tags=["people"],
)
async def reset_password(data: JSONBody[NewPassword], request: Request[Any, Any, Any], parts: WithParts) -> None:
    """Set the password; the link works once."""
    parts.access.refuse_foreign_origin(request)
    await parts.links.choose_password(data.token, data.password)


def _found(invited: Invited) -> InvitationFound:
    return InvitationFound(
        email=invited.email,
        tenant=invited.slug,
        name=invited.name,
        role=invited.role,
        expires_at=invited.expires_at,
    )


DOORS = (look_at_invitation, accept_invitation, forgot_password, look_at_reset, reset_password)
