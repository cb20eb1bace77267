"""Every error as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec.inspect import AnyType, type_info

from aiops_core.errors import AiopsError, ConfigInvalid, KeyProviderRefused, KeyProviderUnavailable
from aiops_core.registry import UnknownContribution
from aiops_core.wording import explained
from aiops_host.data.budgets import UnknownBudget
from aiops_host.data.connections import ConnectionRefused, UnknownConnection
from aiops_host.data.cursors import CursorInvalid
from aiops_host.data.deliveries import ReplayRefused, UnknownDelivery
from aiops_host.data.faults import TRY_AGAIN, UNSTORABLE
from aiops_host.data.members import UnknownInvitation, UnknownPerson
from aiops_host.data.probes import UnknownProbe
from aiops_host.data.providers import UnknownKey, UnknownProvider
from aiops_host.data.runs import UnknownRun
from aiops_host.data.tenants import TenantDeleting, TenantRefused, UnknownTenant
from aiops_host.data.tokens import UnknownToken
from aiops_host.trust.accounts import PersonRefused
from aiops_host.trust.attempts import TooManyAttempts
from aiops_host.trust.doors import ConnectionKept, TestRefused
from aiops_host.trust.identity import ProviderAway, ProviderRefused
from aiops_host.trust.links import AlreadyMember, LinkSpent
from aiops_host.trust.membership import LastAdministrator
from aiops_host.trust.oidc import NotInvited
from aiops_host.trust.passwords import PasswordRefused
from aiops_host.trust.sessions import CodeNeeded, CodeRefused, LoginRefused, UnknownSession
from aiops_host.trust.tenancy import DeletionRefused
from aiops_host.trust.tokens import TokenRefused
from aiops_host.trust.totp import FactorMissing, FactorRefused
from aiops_host.trust.vault import SecretUnreadable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
SERVER_ERROR = 500


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error. ``code`` is for programs and stays the same; ``detail`` is for people."""

    status: int
    code: str
    detail: str
    type: str = "about:blank"
    title: str = ""
    errors: list[FieldProblem] | msgspec.UnsetType = msgspec.UNSET
    parts: list[Any] | msgspec.UnsetType = msgspec.UNSET


class Refused(Exception):
    """A problem to answer with."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        """Take the problem and the headers that go with it."""
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = dict(headers or {})


_KNOWN: dict[type[AiopsError], tuple[int, str]] = {
    UnknownDelivery: (404, "not-found"),
    UnknownRun: (404, "not-found"),
    UnknownProbe: (404, "not-found"),
    UnknownProvider: (404, "not-found"),
    UnknownKey: (404, "not-found"),
    UnknownBudget: (404, "not-found"),
    UnknownConnection: (404, "not-found"),
    UnknownInvitation: (404, "not-found"),
    UnknownPerson: (404, "not-found"),
    UnknownSession: (404, "not-found"),
    UnknownToken: (404, "not-found"),
    UnknownTenant: (404, "not-found"),
    ReplayRefused: (409, "replay-refused"),
    ConnectionRefused: (409, "connection-refused"),
    ConnectionKept: (409, "not-confirmed"),
    DeletionRefused: (409, "not-confirmed"),
    TenantDeleting: (409, "tenant-deleting"),
    TestRefused: (409, "test-refused"),
    CursorInvalid: (400, "cursor-invalid"),
    ConfigInvalid: (422, "config-invalid"),
    UnknownContribution: (422, "unknown-contribution"),
    TenantRefused: (422, "tenant-refused"),
    PasswordRefused: (422, "password-refused"),
    PersonRefused: (409, "person-refused"),
    AlreadyMember: (409, "already-member"),
    LastAdministrator: (409, "last-administrator"),
    FactorRefused: (409, "factor-refused"),
    FactorMissing: (409, "factor-missing"),
    LinkSpent: (410, "link-spent"),
    TokenRefused: (422, "token-refused"),
    LoginRefused: (401, "login-refused"),
    CodeNeeded: (401, "code-needed"),
    CodeRefused: (401, "code-refused"),
    ProviderRefused: (401, "provider-refused"),
    NotInvited: (401, "not-invited"),
    ProviderAway: (503, "provider-away"),
    KeyProviderUnavailable: (503, "key-provider-away"),
    KeyProviderRefused: (409, "key-provider-refused"),
    SecretUnreadable: (409, "secret-unreadable"),
    TooManyAttempts: (429, "too-many-attempts"),
}

_CODES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    500: "internal",
    503: "unavailable",
}

# Names Litestar keeps for itself, and what they are called outside.
BODY = "data"
_OUTSIDE = {"delivery_state": "state", "run_outcome": "outcome", BODY: "body"}

_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    413: "The request's body is too large.",
    500: "The host failed; its log says why.",
}


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Return the problem as a response."""
    titled = msgspec.structs.replace(problem, title=problem.title or HTTPStatus(problem.status).phrase)
    return Response(
        msgspec.json.encode(titled),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


LOG_IN = "Log in, or send an API token, or a session's, as Bearer."
OPENS_NOTHING = (
    "This API token opens nothing: it is mistyped, has expired or was revoked, or its owner may not log in. Make another on "
    "the dashboard's page Account, or with `aiops tokens create`."
)


def unauthorized(detail: str = LOG_IN) -> Refused:
    """Return the refusal of whoever has no session, or, with ``OPENS_NOTHING``, no token that opens anything."""
    problem = Problem(status=401, code="unauthorized", detail=detail)
    return Refused(problem, {"WWW-Authenticate": "Bearer"})


def unavailable(detail: str, retry_after: int = RETRY_SECONDS) -> Refused:
    """Return the refusal that asks the sender to come again."""
    problem = Problem(status=503, code="unavailable", detail=detail)
    return Refused(problem, {"Retry-After": str(retry_after)})


def _refused(_: Request[Any, Any, Any], error: Refused) -> Response[bytes]:
    return answer(error.problem, error.headers)


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if error.status_code >= SERVER_ERROR:
        log.error("request failed", exc_info=error)
    status, fields = error.status_code, _field_problems(request, error)
    problem = Problem(
        status=status,
        code=_CODES.get(status, f"http-{status}"),
        detail=" ".join(map(_sentence, fields)) or _DETAILS.get(status) or str(error.detail),
        errors=fields or msgspec.UNSET,
    )
    return answer(problem, error.headers)


def _ours(_: Request[Any, Any, Any], error: AiopsError) -> Response[bytes]:
    known = next((_KNOWN[kind] for kind in type(error).__mro__ if kind in _KNOWN), None)
    if known is None:
        log.error("request failed", exc_info=error)
        return answer(Problem(status=500, code="internal", detail=_DETAILS[500]))
    status, code = known
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, KeyProviderUnavailable):
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    fields = [FieldProblem(*named.groups())] if isinstance(error, ConfigInvalid) and (named := _named(error)) else []
    return answer(Problem(status=status, code=code, detail=str(error), errors=fields or msgspec.UNSET), headers)


def _named(error: AiopsError) -> re.Match[str] | None:
    """Return field and message of an error whose text begins with a field's path."""
    return re.fullmatch(r"([A-Za-z_][\w.\[\]-]*): (.+)", str(error), re.DOTALL)


def _away(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.warning("PostgreSQL is not available: %s", error)
    refused = unavailable("The database is not available just now; try again.")
    return answer(refused.problem, refused.headers)


def _unstorable(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.info("a value cannot be stored: %s", error)
    return answer(Problem(status=400, code="bad-request", detail="A value holds characters that cannot be stored."))


def _undecodable(_: Request[Any, Any, Any], __: UnicodeDecodeError) -> Response[bytes]:
    return answer(Problem(status=400, code="bad-request", detail="The request's body is not UTF-8."))


def _unexpected(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("request failed", exc_info=error)
    return answer(Problem(status=500, code="internal", detail=_DETAILS[500]))


def _field_problems(request: Request[Any, Any, Any], error: HTTPException) -> list[FieldProblem]:
    if not isinstance(error, ValidationException) or not isinstance(error.extra, list):
        return []
    return [_field_problem(request, item) for item in error.extra]


def _field_problem(request: Request[Any, Any, Any], item: Mapping[str, Any]) -> FieldProblem:
    """Return what Litestar found wrong in words; it says what was expected only as far as msgspec does."""
    key, message = str(item.get("key", "")), str(item.get("message", ""))
    parameter = BODY if item.get("source") == "body" else key
    asked = request.route_handler.parsed_fn_signature.parameters.get(parameter)
    meant = type_info(asked.annotation) if asked else AnyType()
    field, told = explained(message, key if parameter == BODY != key else "", meant)
    return FieldProblem(field or _OUTSIDE.get(key, key), told)


def _sentence(problem: FieldProblem) -> str:
    """Return a problem with its field in front, unless it is a sentence of its own."""
    return problem.message if problem.message[:1].isupper() else f"{problem.field}: {problem.message}"


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    Refused: _refused,
    HTTPException: _http,
    AiopsError: _ours,
    UnicodeDecodeError: _undecodable,
    Exception: _unexpected,
    **dict.fromkeys(TRY_AGAIN, _away),
    **dict.fromkeys(UNSTORABLE, _unstorable),
}


def answer_to(error: Exception) -> ASGIResponse:
    """Return the answer to an error, as the application gives it behind its routes."""
    handler = next(EXCEPTION_HANDLERS[kind] for kind in type(error).__mro__ if kind in EXCEPTION_HANDLERS)
    made: Response[bytes] = handler(None, error)
    return ASGIResponse(
        body=made.content, status_code=made.status_code, media_type=made.media_type, headers=made.headers
    )


def documented(*statuses: int, limited: bool = True) -> dict[int, ResponseSpec]:
    """Return the errors a route documents, for its OpenAPI entry; ``limited`` adds the one for asking too often."""
    if limited:
        statuses = (*statuses, HTTPStatus.TOO_MANY_REQUESTS.value)
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=HTTPStatus(status).phrase,
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }
