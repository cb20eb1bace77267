"""Ways to log in, and the login through a provider."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from aiops_host.trust.oidc import Attempt, Oidc
from aiops_host.web.access import asks
from aiops_host.web.origins import origin
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.people import LoginAnswer, logged_in
from aiops_host.web.problems import Problem, Refused, documented

Opaque = Annotated[str, Meta(min_length=1, max_length=4096)]


class LoginMethods(msgspec.Struct, frozen=True, kw_only=True):
    """How people may log in here. ``provider`` is what its button is called; ``forgot``: links are mailed."""

    password: bool = True
    provider: str | None = None
    forgot: bool = False


class ProviderAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the browser brought back from the provider, and what it was given before it went there."""

    attempt: Annotated[str, Meta(min_length=1, max_length=64)]
    state: Opaque
    code: Opaque

    def __repr__(self) -> str:
        return "ProviderAnswer()"


@get(
    "/login/methods",
    opt=asks("public"),
    responses=documented(503),
    summary="See how people may log in",
    tags=["people"],
)
async def login_methods(parts: WithParts) -> LoginMethods:
    """Return the ways in."""
    name = parts.settings.oidc_name if parts.oidc else None
    return LoginMethods(provider=name, forgot=parts.links.mails)


@post(
    "/login/oidc",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(403, 404, 503),
    summary="Begin a login through the provider",
    description=(
        "Send the browser to `authorize_url`; it comes back to the dashboard's `/login/oidc` with a code and a state. "
        "Keep `attempt` in a cookie out of scripts' reach until then."
    ),
    tags=["people"],
)
async def begin_provider_login(request: Request[Any, Any, Any], parts: WithParts) -> Attempt:
    """Return where to send the browser."""
    parts.access.refuse_foreign_origin(request)
    return await _way(parts).begin()


@post(
    "/login/oidc/finish",
    opt=asks("public"),
    status_code=HTTP_200_OK,
    responses=documented(400, 401, 403, 404, 503),
    summary="Finish a login through the provider",
    tags=["people"],
)
async def finish_provider_login(
    data: JSONBody[ProviderAnswer], request: Request[Any, Any, Any], parts: WithParts
) -> Response[LoginAnswer]:
    """Open a session for whom the provider vouches for."""
    parts.access.refuse_foreign_origin(request)
    session = await _way(parts).finish(data.attempt, data.state, code=data.code, origin=origin(request, parts, "oidc"))
    return await logged_in(request, parts, session)


def _way(parts: Parts) -> Oidc:
    if parts.oidc is None:
        detail = "No provider is configured here; log in with a password."
        raise Refused(Problem(status=404, code="not-found", detail=detail))
    return parts.oidc


DOORS = (login_methods, begin_provider_login, finish_provider_login)
