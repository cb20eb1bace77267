"""Log in, log out, and who am I."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from msgspec import Meta

from aiops_host.trust.permissions import Role
from aiops_host.trust.sessions import LoggedIn
from aiops_host.web.access import COOKIE, SCHEME, asks, visitor_of
from aiops_host.web.origins import origin, with_cookie
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.problems import documented

Email = Annotated[str, Meta(max_length=254, pattern=r"^[^\x00-\x20]+@[^\x00-\x20]+$", examples=["ada@msp.example"])]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Code = Annotated[str, Meta(min_length=1, max_length=40, description="Of an authenticator app, or a recovery code")]


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person enters; the ``code`` only where they have a second factor."""

    email: Email
    password: Password
    code: Code | None = None

    def __repr__(self) -> str:
        return f"Credentials(email={self.email!r})"


class LoginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A session. Send the token as Bearer, or let the browser keep the cookie."""

    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"LoginAnswer(expires_at={self.expires_at!r})"


class TenantRoleView(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant a person may choose, and their role there."""

    id: UUID
    slug: str
    role: Role


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The person behind the session or the API token, whose roles are those the token comes to.

    ``must_enrol``: nothing but the own account is open before a second factor is enrolled.
    """

    email: str
    platform_admin: bool
    second_factor: bool
    must_enrol: bool
    tenants: list[TenantRoleView]


@post(
    "/login",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(400, 401, 403, 503),
    summary="Log in",
    description=(
        "Answers 401 `code-needed` where the password is right and the person has a second factor: send it again with "
        "the code."
    ),
    tags=["people"],
)
async def log_in(
    data: JSONBody[Credentials], request: Request[Any, Any, Any], parts: WithParts
) -> Response[LoginAnswer]:
    """Open a session; one the browser already had ends."""
    parts.access.refuse_foreign_origin(request)
    session = await parts.sessions.login(data.email, data.password, code=data.code, origin=origin(request, parts))
    return await logged_in(request, parts, session)


async def logged_in(request: Request[Any, Any, Any], parts: Parts, session: LoggedIn) -> Response[LoginAnswer]:
    """Return the answer to a login; the session the browser had before ends."""
    if before := request.cookies.get(COOKIE):
        await parts.sessions.logout(before)
    return with_cookie(LoginAnswer(token=session.token, expires_at=session.expires_at), parts, session)


@post(
    "/logout",
    opt=asks("account"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(401, 403, 503),
    summary="Log out",
    tags=["people"],
)
async def log_out(request: Request[Any, Any, Any], parts: WithParts) -> Response[None]:
    """End the session this request came with."""
    authorization = request.headers.get("authorization", "")
    bearer = authorization[: len(SCHEME)].lower() == SCHEME
    await parts.sessions.logout(authorization[len(SCHEME) :].strip() if bearer else request.cookies[COOKIE])
    return with_cookie(None, parts, None, HTTP_204_NO_CONTENT)


@get("/me", opt=asks("self"), responses=documented(401, 503), summary="Who am I", tags=["people"])
async def who_am_i(request: Request[Any, Any, Any], parts: WithParts) -> Me:
    """Return the person and the tenants they may choose."""
    visitor = visitor_of(request)
    choices = await parts.access.choices(visitor)
    return Me(
        email=visitor.person.email,
        platform_admin=visitor.platform_admin,
        second_factor=visitor.person.second_factor,
        must_enrol=parts.access.must_enrol(visitor),
        tenants=[TenantRoleView(id=c.tenant_id, slug=c.slug, role=visitor.bounded(c.role)) for c in choices],
    )
