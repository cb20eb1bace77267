"""Log in, log out, and who am I."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from msgspec import Meta

from aiops_host.data import tenants
from aiops_host.trust.permissions import Role
from aiops_host.web.access import COOKIE, SCHEME, asks, visitor_of
from aiops_host.web.parts import WithParts
from aiops_host.web.problems import documented


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person enters."""

    email: Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^\x00-\x20]+@[^\x00-\x20]+$")]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]

    def __repr__(self) -> str:
        return f"Credentials(email={self.email!r})"


class LoginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A session. Send the token as Bearer, or let the browser keep the cookie."""

    token: str
    expires_at: datetime


class TenantRoleView(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant a person may choose, and their role there."""

    id: UUID
    slug: str
    role: Role


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The person behind the session."""

    email: str
    platform_admin: bool
    tenants: list[TenantRoleView]


@post(
    "/login",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(400, 401, 403, 503),
    summary="Log in",
    tags=["people"],
)
async def log_in(
    data: JSONBody[Credentials], request: Request[Any, Any, Any], parts: WithParts
) -> Response[LoginAnswer]:
    """Open a session; one the browser already had ends."""
    parts.access.refuse_foreign_origin(request)
    session = await parts.sessions.login(data.email, data.password)
    if before := request.cookies.get(COOKIE):
        await parts.sessions.logout(before)
    cookie = Cookie(
        key=COOKIE,
        value=session.token,
        path="/",
        max_age=int(parts.settings.session_hours * 3600),
        httponly=True,
        secure=parts.settings.cookie_secure,
        samesite="lax",
    )
    return Response(LoginAnswer(token=session.token, expires_at=session.expires_at), cookies=[cookie])


@post(
    "/logout",
    opt=asks("self"),
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
    gone = Cookie(
        key=COOKIE,
        value="",
        path="/",
        max_age=0,
        httponly=True,
        secure=parts.settings.cookie_secure,
        samesite="lax",
    )
    return Response(None, status_code=HTTP_204_NO_CONTENT, cookies=[gone])


@get("/me", opt=asks("self"), responses=documented(401, 503), summary="Who am I", tags=["people"])
async def who_am_i(request: Request[Any, Any, Any], parts: WithParts) -> Me:
    """Return the person and the tenants they may choose."""
    person = visitor_of(request).person
    if person.platform_admin:
        known = await tenants.directory(parts.database)
        choices = [TenantRoleView(id=t.id, slug=t.slug, role="platform-admin") for t in known]
    else:
        choices = [TenantRoleView(id=m.tenant_id, slug=m.slug, role=m.role) for m in person.memberships]
    return Me(email=person.email, platform_admin=person.platform_admin, tenants=choices)
