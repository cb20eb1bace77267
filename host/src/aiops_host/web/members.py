"""Members of a tenant, invitations to it, and the API tokens made for it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from aiops_host.data import members as stored
from aiops_host.data import tokens
from aiops_host.data.members import MAX_PAGE, InvitationView, MemberPage
from aiops_host.data.people import TenantRole
from aiops_host.data.tokens import TokenPage
from aiops_host.trust import membership
from aiops_host.trust.links import Link
from aiops_host.web import people_examples as examples
from aiops_host.web.access import InTenant, asks, visitor_of
from aiops_host.web.examples import shown
from aiops_host.web.parts import WithParts
from aiops_host.web.people import Email
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 404, 503)
PAGE = 50
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, QueryParameter(max_length=400, description="`next` of the page before")]


class RoleChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The role a member is to have."""

    role: TenantRole


class InvitationWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to invite. ``mail``: false has the link shown to you instead, to hand on yourself."""

    email: Email
    role: TenantRole = "technician"
    mail: bool = True


class SentInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation, and what became of its link."""

    invitation: InvitationView
    link: Link


@get(
    "/members",
    opt=asks("members.read"),
    responses={**documented(*ERRORS), **shown(MemberPage, examples.MEMBERS)},
    summary="List the tenant's members by address",
    tags=["members"],
)
async def list_members(*, parts: WithParts, chosen: InTenant, limit: Limit = PAGE, cursor: Cursor = None) -> MemberPage:
    """Return a page of members; platform administrators reach the tenant without being one."""
    return await stored.list_(parts.database, chosen.tenant_id, limit=limit, cursor=cursor)


@put(
    "/members/{user_id:uuid}",
    opt=asks("members.manage"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(*ERRORS, 409),
    summary="Give a member another role",
    description="Their sessions end. 409 `last-administrator` for the only administrator of the tenant.",
    tags=["members"],
)
async def change_role(
    *,
    data: JSONBody[RoleChange],
    user_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    parts: WithParts,
    chosen: InTenant,
) -> None:
    """Change a role."""
    await membership.change_role(
        parts.database, chosen.tenant_id, user_id, role=data.role, actor=visitor_of(request).actor
    )


@delete(
    "/members/{user_id:uuid}",
    opt=asks("members.manage"),
    responses=documented(*ERRORS, 409),
    summary="Take a member out of the tenant",
    description="Their sessions end, their tokens for it are revoked; they stay in other tenants.",
    tags=["members"],
)
async def remove_member(
    user_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts, chosen: InTenant
) -> None:
    """Remove a membership."""
    await membership.remove(parts.database, chosen.tenant_id, user_id, actor=visitor_of(request).actor)


@get(
    "/invitations",
    opt=asks("members.read"),
    responses=documented(*ERRORS),
    summary="List the tenant's open invitations, newest first; 200 at most",
    tags=["members"],
)
async def list_invitations(parts: WithParts, chosen: InTenant) -> list[InvitationView]:
    """Return the open invitations."""
    return await stored.invitations(parts.database, chosen.tenant_id)


@post(
    "/invitations",
    opt=asks("members.manage"),
    status_code=HTTP_201_CREATED,
    responses={**documented(*ERRORS, 409, 422), 201: examples.made(SentInvitation, examples.INVITED)},
    summary="Invite somebody by a one-time link",
    description=(
        "The link is mailed where a mail server is configured, and is in the answer otherwise, or when the mail failed. "
        "It replaces an earlier invitation to the same address."
    ),
    tags=["members"],
)
async def invite(
    data: JSONBody[InvitationWish], request: Request[Any, Any, Any], parts: WithParts, chosen: InTenant
) -> SentInvitation:
    """Invite somebody; whether the address is known in other tenants is not told."""
    tenant, actor = (chosen.tenant_id, chosen.slug), visitor_of(request).actor
    made, link = await parts.links.invite(tenant, data.email, role=data.role, actor=actor, mail=data.mail)
    return SentInvitation(invitation=made, link=link)


@delete(
    "/invitations/{invitation_id:uuid}",
    opt=asks("members.manage"),
    responses=documented(*ERRORS),
    summary="Take an invitation back",
    tags=["members"],
)
async def withdraw_invitation(
    invitation_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts, chosen: InTenant
) -> None:
    """Take an invitation back; its link leads nowhere from now on."""
    await parts.links.withdraw(chosen.tenant_id, invitation_id, visitor_of(request).actor)


@get(
    "/tokens",
    opt=asks("members.read"),
    responses=documented(*ERRORS),
    summary="List the API tokens made for the tenant, newest first",
    tags=["members"],
)
async def list_tokens(*, parts: WithParts, chosen: InTenant, limit: Limit = PAGE, cursor: Cursor = None) -> TokenPage:
    """Return a page of tokens, whoever owns them."""
    return await tokens.list_(parts.database, user_id=None, tenant_id=chosen.tenant_id, limit=limit, cursor=cursor)


@delete(
    "/tokens/{token_id:uuid}",
    opt=asks("members.manage"),
    responses=documented(*ERRORS),
    summary="Revoke an API token made for the tenant",
    tags=["members"],
)
async def revoke_token(
    token_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts, chosen: InTenant
) -> None:
    """Revoke a token, whoever owns it."""
    await parts.tokens.revoke(token_id, visitor_of(request).actor, tenant_id=chosen.tenant_id)


ROUTES = (
    list_members,
    change_role,
    remove_member,
    list_invitations,
    invite,
    withdraw_invitation,
    list_tokens,
    revoke_token,
)
