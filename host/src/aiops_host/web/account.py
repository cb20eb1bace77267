"""A person's own account: password, sessions and API tokens."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT
from msgspec import Meta

from aiops_host.data import tokens as stored
from aiops_host.data.people import SessionView
from aiops_host.data.tokens import MAX_PAGE, TokenPage
from aiops_host.trust.tokens import MadeToken, TokenRefused, TokenWish
from aiops_host.web import people_examples as examples
from aiops_host.web.access import asks, visitor_of
from aiops_host.web.examples import shown
from aiops_host.web.origins import origin, with_cookie
from aiops_host.web.parts import WithParts
from aiops_host.web.people import LoginAnswer, Password
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 503)
PAGE = 50
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, QueryParameter(max_length=400, description="`next` of the page before")]


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password a person has, and the one they want."""

    current: Password
    new: Annotated[str, Meta(min_length=12, max_length=1024)]

    def __repr__(self) -> str:
        return "PasswordChange()"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions ended."""

    ended: int


@post(
    "/me/password",
    opt=asks("account"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS, 422),
    summary="Change the own password",
    description="Every session of the person ends; the answer holds a new one.",
    tags=["account"],
)
async def change_password(
    data: JSONBody[PasswordChange], request: Request[Any, Any, Any], parts: WithParts
) -> Response[LoginAnswer]:
    """Change the password of whoever knows the one before."""
    person = visitor_of(request).person
    session = await parts.sessions.change_password(person, data.current, data.new, origin(request, parts))
    return with_cookie(LoginAnswer(token=session.token, expires_at=session.expires_at), parts, session)


@get(
    "/me/sessions",
    opt=asks("account"),
    responses={**documented(401, 403, 503), **shown(list[SessionView], examples.SESSIONS)},
    summary="List the own sessions, the one used last first",
    tags=["account"],
)
async def list_sessions(request: Request[Any, Any, Any], parts: WithParts) -> list[SessionView]:
    """Return where the person is logged in; there are few, because each ends within hours."""
    return await parts.sessions.list_(visitor_of(request).person)


@delete(
    "/me/sessions/{session_id:uuid}",
    opt=asks("account"),
    responses=documented(401, 403, 404, 503),
    summary="End one of the own sessions",
    tags=["account"],
)
async def end_session(session_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts) -> None:
    """End a session."""
    await parts.sessions.end(visitor_of(request).person, session_id)


@post(
    "/logout/everywhere",
    opt=asks("account"),
    status_code=HTTP_200_OK,
    responses=documented(401, 403, 503),
    summary="Log out everywhere, here too",
    tags=["account"],
)
async def log_out_everywhere(request: Request[Any, Any, Any], parts: WithParts) -> Response[Ended]:
    """End every session of the person."""
    ended = await parts.sessions.end(visitor_of(request).person)
    return with_cookie(Ended(ended=ended), parts, None)


@get(
    "/me/tokens",
    opt=asks("account"),
    responses={**documented(*ERRORS), **shown(TokenPage, examples.TOKENS)},
    summary="List the own API tokens, newest first",
    tags=["account"],
)
async def list_tokens(
    *, request: Request[Any, Any, Any], parts: WithParts, limit: Limit = PAGE, cursor: Cursor = None
) -> TokenPage:
    """Return a page of the person's tokens, without the tokens themselves."""
    owner = visitor_of(request).person.user_id
    return await stored.list_(parts.database, user_id=owner, tenant_id=None, limit=limit, cursor=cursor)


@post(
    "/me/tokens",
    opt=asks("account"),
    status_code=HTTP_201_CREATED,
    responses={**documented(*ERRORS, 404, 422), 201: examples.made(MadeToken, examples.TOKEN)},
    summary="Make an API token",
    description=(
        "The token is in this answer and nowhere else afterwards. It is worth what its owner is worth when it is used, "
        "at most the role and permissions it was made for, in the tenant it was made for."
    ),
    tags=["account"],
)
async def make_token(data: JSONBody[TokenWish], request: Request[Any, Any, Any], parts: WithParts) -> MadeToken:
    """Make a token."""
    visitor = visitor_of(request)
    choices = await parts.access.choices(visitor)
    slug = data.tenant
    if slug is None and not visitor.person.platform_admin and len(choices) == 1:
        slug = choices[0].slug
    chosen = next((c for c in choices if c.slug == slug), None)
    if slug is not None and chosen is None:
        raise TokenRefused("There is no such tenant, or you have no role in it.")
    tenant = (chosen.tenant_id, chosen.slug, chosen.role) if chosen else None
    return await parts.tokens.make(visitor.person, tenant, data)


@delete(
    "/me/tokens/{token_id:uuid}",
    opt=asks("account"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(401, 403, 404, 503),
    summary="Revoke one of the own API tokens",
    tags=["account"],
)
async def revoke_token(token_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts) -> None:
    """Revoke a token; it opens nothing from now on."""
    visitor = visitor_of(request)
    await parts.tokens.revoke(token_id, visitor.actor, user_id=visitor.person.user_id)


ROUTES = (
    change_password,
    list_sessions,
    end_session,
    log_out_everywhere,
    list_tokens,
    make_token,
    revoke_token,
)
