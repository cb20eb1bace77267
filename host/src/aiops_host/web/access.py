"""Who is asking, in which tenant, and whether they may: the guard before every route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from aiops_host.data import tenants
from aiops_host.data.people import Person
from aiops_host.data.session import Database
from aiops_host.trust.permissions import PERMISSIONS, Permission, PermissionName, Role, allows
from aiops_host.trust.sessions import Sessions
from aiops_host.web.problems import Problem, Refused, unauthorized

COOKIE = "aiops_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPT_KEY = "permission"
SCHEME = "bearer "

AnyConnection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Visitor:
    """A logged-in person."""

    person: Person


@dataclass(frozen=True, slots=True)
class ChosenTenant:
    """The tenant this request is about, and the person's role there."""

    tenant_id: UUID
    slug: str
    role: Role


InTenant = NamedDependency[ChosenTenant]
"""A route's parameter ``chosen``."""


def asks(permission: PermissionName) -> dict[str, str]:
    """Return a route's ``opt`` that asks for the permission."""
    return {OPT_KEY: permission}


class Access:
    """The guard. Refuses a route that asks for no permission, whoever comes."""

    def __init__(self, sessions: Sessions, database: Database, public_url: str) -> None:
        """Take the doors, the tenants' directory and our own public address."""
        self._sessions = sessions
        self._database = database
        self._origin = origin_of(public_url)

    async def check(self, connection: AnyConnection, handler: BaseRouteHandler) -> None:
        """Let the request through, with its visitor and tenant set, or refuse it."""
        name = str(handler.opt.get(OPT_KEY))
        permission = PERMISSIONS.get(name)
        if permission is not None and permission.scope == "public":
            return
        person = await self._person(connection)
        if permission is None:
            raise _forbidden("This route asks for no permission, so nobody has it.")
        connection.scope["user"] = Visitor(person)
        role = await self._role(connection, person, permission)
        if role is not None and not allows(name, role):
            raise _forbidden(f"Your role {role} does not have the permission {name}.")

    def refuse_foreign_origin(self, connection: AnyConnection) -> None:
        """Refuse a request that a page of another site had the browser send."""
        origin = connection.headers.get("origin")
        if origin is not None and origin not in (self._origin, _own_origin(connection)):
            raise _forbidden("The request comes from a page of another site.", code="foreign-origin")

    async def _person(self, connection: AnyConnection) -> Person:
        authorization = connection.headers.get("authorization", "")
        bearer = authorization[: len(SCHEME)].lower() == SCHEME
        token = authorization[len(SCHEME) :].strip() if bearer else connection.cookies.get(COOKIE)
        person = await self._sessions.find(token) if token else None
        if person is None:
            raise unauthorized()
        if not bearer:
            self._refuse_forged(connection)
        return person

    def _refuse_forged(self, connection: AnyConnection) -> None:
        """Refuse a change that only the browser's cookie stands behind, unless one of our own pages asked for it."""
        if connection.scope.get("method") in SAFE_METHODS:
            return
        self.refuse_foreign_origin(connection)
        if "origin" not in connection.headers and "x-requested-with" not in connection.headers:
            raise _forbidden(
                "A change asked with the session's cookie needs our own Origin or the header X-Requested-With.",
                code="csrf",
            )

    async def _role(self, connection: AnyConnection, person: Person, permission: Permission) -> Role | None:
        """Return the role that counts here; ``None`` where having a session is enough."""
        if permission.scope == "person":
            return None
        if permission.scope == "platform":
            return "platform-admin" if person.platform_admin else "read-only"
        chosen = await self._tenant(person, connection.query_params.get("tenant"))
        connection.scope["auth"] = chosen
        return chosen.role

    async def _tenant(self, person: Person, slug: str | None) -> ChosenTenant:
        own = [ChosenTenant(m.tenant_id, m.slug, m.role) for m in person.memberships]
        if slug is None and len(own) == 1:
            return _promoted(own[0], person)
        choices = own
        if person.platform_admin:
            known = await tenants.directory(self._database)
            choices = [ChosenTenant(t.id, t.slug, "platform-admin") for t in known]
        if slug is None and len(choices) == 1:
            return choices[0]
        if slug is None:
            raise Refused(
                Problem(status=400, code="tenant-missing", detail="Name the tenant: add ?tenant=<slug> to the address.")
            )
        for choice in choices:
            if choice.slug == slug:
                return choice
        raise Refused(
            Problem(status=404, code="not-found", detail="There is no such tenant, or you have no role in it.")
        )


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, as browsers write an origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def visitor_of(connection: AnyConnection) -> Visitor:
    """Return who the guard let through."""
    return cast("Visitor", connection.scope["user"])


def tenant_of(connection: AnyConnection) -> ChosenTenant:
    """Return the tenant the guard let the visitor into."""
    return cast("ChosenTenant", connection.scope["auth"])


def _promoted(choice: ChosenTenant, person: Person) -> ChosenTenant:
    return ChosenTenant(choice.tenant_id, choice.slug, "platform-admin") if person.platform_admin else choice


def _own_origin(connection: AnyConnection) -> str:
    return f"{connection.scope.get('scheme', 'http')}://{connection.headers.get('host', '')}".lower()


def _forbidden(detail: str, code: str = "forbidden") -> Refused:
    return Refused(Problem(status=403, code=code, detail=detail))
