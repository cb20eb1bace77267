"""The people of the installation, for whoever runs it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post, put
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from aiops_host.data import members as stored
from aiops_host.data.members import MAX_PAGE, PersonPage, PersonView
from aiops_host.trust import membership
from aiops_host.trust.links import Link
from aiops_host.web import people_examples as examples
from aiops_host.web.access import asks, visitor_of
from aiops_host.web.account import Ended
from aiops_host.web.examples import shown
from aiops_host.web.parts import WithParts
from aiops_host.web.people import Email
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 503)
PAGE = 50
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, QueryParameter(max_length=400, description="`next` of the page before")]


class PersonWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody to make without a tenant; members of a tenant are invited instead."""

    email: Email
    platform_admin: bool = False
    mail: bool = True


class PersonChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change about a person; fields left out stay. ``active``: false keeps them out everywhere."""

    platform_admin: bool | None = None
    active: bool | None = None


class MailWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``mail``: false has the link shown to you instead, to hand on yourself."""

    mail: bool = True


class MadePerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person, and the link by which they choose their password."""

    person: PersonView
    link: Link


@get(
    "/people",
    opt=asks("people.read"),
    responses={**documented(*ERRORS), **shown(PersonPage, examples.PEOPLE)},
    summary="List everybody by address",
    tags=["people"],
)
async def list_people(*, parts: WithParts, limit: Limit = PAGE, cursor: Cursor = None) -> PersonPage:
    """Return a page of people with the tenants they belong to."""
    return await stored.people(parts.database, limit=limit, cursor=cursor)


@post(
    "/people",
    opt=asks("people.manage"),
    status_code=HTTP_201_CREATED,
    responses=documented(*ERRORS, 409, 422),
    summary="Make a person, who chooses a password by a one-time link",
    tags=["people"],
)
async def make_person(data: JSONBody[PersonWish], request: Request[Any, Any, Any], parts: WithParts) -> MadePerson:
    """Make a person."""
    actor = visitor_of(request).actor
    user_id = await membership.make_person(parts.database, data.email, actor, platform_admin=data.platform_admin)
    link = await parts.links.reset(user_id, actor, mail=data.mail)
    return MadePerson(person=await stored.person(parts.database, user_id), link=link)


@put(
    "/people/{user_id:uuid}",
    opt=asks("people.manage"),
    responses=documented(*ERRORS, 404, 409),
    summary="Promote or demote a person, keep them out or let them in",
    description="Their sessions end. 409 `last-administrator` for the only platform administrator who may log in.",
    tags=["people"],
)
async def change_person(
    data: JSONBody[PersonChange], user_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts
) -> PersonView:
    """Change a person."""
    await membership.change_person(
        parts.database,
        user_id,
        visitor_of(request).actor,
        platform_admin=data.platform_admin,
        active=data.active,
    )
    return await stored.person(parts.database, user_id)


@post(
    "/people/{user_id:uuid}/reset",
    opt=asks("people.manage"),
    status_code=HTTP_201_CREATED,
    responses=documented(*ERRORS, 404),
    summary="Make a one-time link by which a person chooses a new password",
    description="Their password and sessions stay until the link is used. A second factor stays.",
    tags=["people"],
)
async def reset_password(
    data: JSONBody[MailWish], user_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts
) -> Link:
    """Make a link."""
    return await parts.links.reset(user_id, visitor_of(request).actor, mail=data.mail)


@post(
    "/people/{user_id:uuid}/logout",
    opt=asks("people.manage"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS, 404),
    summary="Log a person out everywhere",
    tags=["people"],
)
async def log_out_person(user_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts) -> Ended:
    """End every session of a person."""
    return Ended(ended=await membership.end_sessions(parts.database, user_id, visitor_of(request).actor))


ROUTES = (list_people, make_person, change_person, reset_password, log_out_person)
