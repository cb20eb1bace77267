"""A person's second factor."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT

from aiops_host.trust.totp import Enrolment, FactorState, RecoveryCodes
from aiops_host.web.access import asks, visitor_of
from aiops_host.web.parts import Parts, WithParts
from aiops_host.web.people import Code, Password
from aiops_host.web.problems import documented

ERRORS = (400, 401, 403, 409, 503)


class PasswordAgain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password of whoever is logged in, once more."""

    password: Password

    def __repr__(self) -> str:
        return "PasswordAgain()"


class CodeGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code of the device."""

    code: Code

    def __repr__(self) -> str:
        return "CodeGiven()"


class Both(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Password and code."""

    password: Password
    code: Code

    def __repr__(self) -> str:
        return "Both()"


@get(
    "/me/totp",
    opt=asks("account"),
    responses=documented(401, 403, 503),
    summary="See whether one has a second factor",
    tags=["account"],
)
async def show_factor(request: Request[Any, Any, Any], parts: WithParts) -> FactorState:
    """Return the state of the own second factor."""
    return await parts.factors.state(visitor_of(request).person)


@post(
    "/me/totp",
    opt=asks("account"),
    status_code=HTTP_201_CREATED,
    responses=documented(*ERRORS),
    summary="Begin to enrol an authenticator app",
    description="The answer is for the app, this once; nothing changes until a code of the app confirms it.",
    tags=["account"],
)
async def begin_factor(data: JSONBody[PasswordAgain], request: Request[Any, Any, Any], parts: WithParts) -> Enrolment:
    """Make a secret for a device."""
    await _prove(request, parts, data.password)
    return await parts.factors.begin(visitor_of(request).person)


@post(
    "/me/totp/confirm",
    opt=asks("account"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS),
    summary="Confirm the authenticator app by a code of it",
    description="From now on a login asks for a code. The answer holds recovery codes, this once.",
    tags=["account"],
)
async def confirm_factor(data: JSONBody[CodeGiven], request: Request[Any, Any, Any], parts: WithParts) -> RecoveryCodes:
    """Have the second factor count."""
    return await parts.factors.confirm(visitor_of(request).person, data.code)


@post(
    "/me/totp/recovery-codes",
    opt=asks("account"),
    status_code=HTTP_200_OK,
    responses=documented(*ERRORS),
    summary="Replace the recovery codes",
    tags=["account"],
)
async def renew_codes(data: JSONBody[Both], request: Request[Any, Any, Any], parts: WithParts) -> RecoveryCodes:
    """Make new recovery codes; those before are worth nothing."""
    await _prove(request, parts, data.password)
    return await parts.factors.renew_codes(visitor_of(request).person, data.code)


@post(
    "/me/totp/remove",
    opt=asks("account"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(*ERRORS),
    summary="Remove the own second factor",
    tags=["account"],
)
async def remove_factor(data: JSONBody[Both], request: Request[Any, Any, Any], parts: WithParts) -> None:
    """Remove the second factor of whoever has the password and a code."""
    visitor = visitor_of(request)
    await parts.sessions.prove(
        visitor.person.email, data.password, code=data.code, address=parts.peers.address_of(request)
    )
    await parts.factors.remove(visitor.person.user_id, visitor.actor)


@post(
    "/people/{user_id:uuid}/totp/remove",
    opt=asks("people.manage"),
    status_code=HTTP_204_NO_CONTENT,
    responses=documented(*ERRORS, 404),
    summary="Remove a person's second factor, whose device is lost",
    tags=["people"],
)
async def remove_factor_of(user_id: FromPath[UUID], request: Request[Any, Any, Any], parts: WithParts) -> None:
    """Remove somebody's second factor; their password stays."""
    await parts.factors.remove(user_id, visitor_of(request).actor)


async def _prove(request: Request[Any, Any, Any], parts: Parts, password: str) -> None:
    person = visitor_of(request).person
    await parts.sessions.prove_password(person, password, address=parts.peers.address_of(request))


ROUTES = (show_factor, begin_factor, confirm_factor, renew_codes, remove_factor, remove_factor_of)
