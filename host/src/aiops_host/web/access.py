"""Who is asking, in which tenant, and whether they may: the guard before every route."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from aiops_host.data import tenants
from aiops_host.data.people import Person
from aiops_host.data.session import Database
from aiops_host.data.tokens import Grant
from aiops_host.settings import Settings
from aiops_host.trust import audit
from aiops_host.trust.audit import Actor
from aiops_host.trust.permissions import PERMISSIONS, Permission, PermissionName, Role, allows, lesser
from aiops_host.trust.sessions import Sessions
from aiops_host.trust.tokens import PREFIX, Tokens
from aiops_host.web.problems import OPENS_NOTHING, Problem, Refused, unauthorized

COOKIE = "aiops_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPT_KEY = "permission"
SCHEME = "bearer "

AnyConnection = ASGIConnection[Any, Any, Any, Any]

WITHOUT_FACTOR = frozenset({"self", "account"})
"""What a person may do who has to enrol a second factor first."""
ENROL_FIRST = (
    "This installation asks platform administrators for a second factor: enrol an authenticator app on your account "
    "page first."
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is logged in, or came with an API token: then ``grant`` is what the token may reach at most."""

    person: Person
    grant: Grant | None = None

    @property
    def actor(self) -> Actor:
        """Who did it, for the audit trail."""
        if self.grant is None:
            return audit.person(self.person.email, self.person.user_id)
        return Actor("token", self.person.email, str(self.grant.token_id))

    @property
    def platform_admin(self) -> bool:
        """Whether they run the installation; a token made for one tenant or a lesser role does not."""
        return self.person.platform_admin and (
            self.grant is None or (self.grant.tenant_id is None and self.grant.role == "platform-admin")
        )

    def bounded(self, role: Role) -> Role:
        """Return what a role of the person comes to here: never more than the token was made for."""
        return role if self.grant is None else lesser(role, cast("Role", self.grant.role))


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

    def __init__(self, sessions: Sessions, tokens: Tokens, database: Database, settings: Settings) -> None:
        """Take the doors, the tenants' directory, and our own public address."""
        self._sessions = sessions
        self._tokens = tokens
        self._database = database
        self._origin = origin_of(settings.public_url)
        self._factor_required = settings.require_totp

    async def check(self, connection: AnyConnection, handler: BaseRouteHandler) -> None:
        """Let the request through, with its visitor and tenant set, or refuse it."""
        name = str(handler.opt.get(OPT_KEY))
        permission = PERMISSIONS.get(name)
        if permission is not None and permission.scope == "public":
            return
        visitor = await self._visitor(connection)
        if permission is None:
            raise _forbidden("This route asks for no permission, so nobody has it.")
        connection.scope["user"] = visitor
        if self.must_enrol(visitor) and name not in WITHOUT_FACTOR:
            raise _forbidden(ENROL_FIRST, code="second-factor-needed")
        _refuse_beyond_grant(visitor, name, permission)
        if permission.scope == "platform" and not visitor.platform_admin:
            less = " This API token was made for less." if visitor.person.platform_admin else ""
            raise _forbidden(f"Only platform administrators have the permission {name}.{less}")
        role = await self._role(connection, visitor, permission)
        if role is not None and not allows(name, role):
            raise _forbidden(f"Your role {role} does not have the permission {name}.")

    def refuse_foreign_origin(self, connection: AnyConnection) -> None:
        """Refuse a request that a page of another site had the browser send."""
        origin = connection.headers.get("origin")
        if origin is not None and origin not in (self._origin, _own_origin(connection)):
            raise _forbidden("The request comes from a page of another site.", code="foreign-origin")

    async def _visitor(self, connection: AnyConnection) -> Visitor:
        authorization = connection.headers.get("authorization", "")
        bearer = authorization[: len(SCHEME)].lower() == SCHEME
        token = authorization[len(SCHEME) :].strip() if bearer else connection.cookies.get(COOKIE)
        if token and bearer and token.startswith(PREFIX):
            known = await self._tokens.find(token)
            if known is None:
                raise unauthorized(OPENS_NOTHING)
            return Visitor(*known)
        person = await self._sessions.find(token) if token else None
        if person is None:
            raise unauthorized()
        if not bearer:
            self._refuse_forged(connection)
        return Visitor(person)

    def must_enrol(self, visitor: Visitor) -> bool:
        """Return whether they have to enrol a second factor before they do anything else."""
        person = visitor.person
        enrolled = person.second_factor or person.method == "oidc"
        return self._factor_required and person.platform_admin and not enrolled

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

    async def _role(self, connection: AnyConnection, visitor: Visitor, permission: Permission) -> Role | None:
        """Return the role that counts here; ``None`` where having a session is enough."""
        if permission.scope == "person":
            return None
        if permission.scope == "platform":
            return "platform-admin"
        found = await self._tenant(visitor, connection.query_params.get("tenant"))
        chosen = replace(found, role=visitor.bounded(found.role))
        connection.scope["auth"] = chosen
        return chosen.role

    async def choices(self, visitor: Visitor) -> list[ChosenTenant]:
        """Return the tenants a visitor may choose, with the role they have there as a person."""
        person, grant = visitor.person, visitor.grant
        if person.platform_admin:
            known = await tenants.directory(self._database)
            found = [ChosenTenant(t.id, t.slug, "platform-admin") for t in known]
        else:
            found = [ChosenTenant(m.tenant_id, m.slug, m.role) for m in person.memberships]
        only = grant.tenant_id if grant else None
        return [choice for choice in found if only is None or choice.tenant_id == only]

    async def _tenant(self, visitor: Visitor, slug: str | None) -> ChosenTenant:
        person = visitor.person
        own = [ChosenTenant(m.tenant_id, m.slug, m.role) for m in person.memberships]
        if slug is None and len(own) == 1 and visitor.grant is None:
            return _promoted(own[0], person)
        choices = await self.choices(visitor)
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


def _refuse_beyond_grant(visitor: Visitor, name: str, permission: Permission) -> None:
    """Refuse what an API token was not made for."""
    if visitor.grant is None:
        return
    if not permission.by_token:
        raise _forbidden("An API token cannot do this; log in.", code="session-needed")
    only = visitor.grant.permissions
    if only is not None and name not in only and name != "self":
        raise _forbidden(f"This API token was not made for the permission {name}.")


def _promoted(choice: ChosenTenant, person: Person) -> ChosenTenant:
    return ChosenTenant(choice.tenant_id, choice.slug, "platform-admin") if person.platform_admin else choice


def _own_origin(connection: AnyConnection) -> str:
    return f"{connection.scope.get('scheme', 'http')}://{connection.headers.get('host', '')}".lower()


def _forbidden(detail: str, code: str = "forbidden") -> Refused:
    return Refused(Problem(status=403, code=code, detail=detail))
