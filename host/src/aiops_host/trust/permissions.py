"""Who may do what: one table. A route without a permission is refused to everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Role = Literal["platform-admin", "tenant-admin", "technician", "read-only"]
Scope = Literal["public", "person", "tenant", "platform"]
"""``public`` asks for nothing, ``person`` for a session, ``tenant`` for a role in the tenant chosen, ``platform`` for
the person who runs the installation."""

PermissionName = Literal[
    "public",
    "self",
    "account",
    "health.read",
    "plugins.read",
    "installation.read",
    "tenants.list",
    "deliveries.read",
    "deliveries.replay",
    "runs.read",
    "probes.read",
    "providers.read",
    "providers.manage",
    "budgets.read",
    "budgets.manage",
    "usage.read",
    "figures.read",
    "connections.read",
    "connections.manage",
    "tenants.manage",
    "tenant.read",
    "tenant.configure",
    "tenant.suspend",
    "tenant.export",
    "tenant.delete",
    "audit.read",
    "installation.audit",
    "members.read",
    "members.manage",
    "people.read",
    "people.manage",
]

ORDER: tuple[Role, ...] = ("read-only", "technician", "tenant-admin", "platform-admin")
"""From the least role to the one that contains them all."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a route asks for; ``roles`` are those that have it.

    ``by_token``: whether an API token may have it too. What changes the doors themselves asks for a session, so that a
    stolen token opens no other.
    """

    scope: Scope
    roles: frozenset[Role] = frozenset()
    by_token: bool = True


_EVERYBODY: frozenset[Role] = frozenset({"platform-admin", "tenant-admin", "technician", "read-only"})
_WORKERS: frozenset[Role] = frozenset({"platform-admin", "tenant-admin", "technician"})
_ADMINS: frozenset[Role] = frozenset({"platform-admin", "tenant-admin"})
_PLATFORM: frozenset[Role] = frozenset({"platform-admin"})

PERMISSIONS: Mapping[str, Permission] = MappingProxyType(
    {
        "public": Permission("public"),
        "self": Permission("person", _EVERYBODY),
        "account": Permission("person", _EVERYBODY, by_token=False),
        "health.read": Permission("person", _EVERYBODY),
        "plugins.read": Permission("person", _EVERYBODY),
        "installation.read": Permission("platform", _PLATFORM),
        "tenants.list": Permission("platform", _PLATFORM),
        "deliveries.read": Permission("tenant", _EVERYBODY),
        "deliveries.replay": Permission("tenant", _WORKERS),
        "runs.read": Permission("tenant", _EVERYBODY),
        "probes.read": Permission("tenant", _EVERYBODY),
        "providers.read": Permission("tenant", _EVERYBODY),
        "providers.manage": Permission("tenant", _ADMINS, by_token=False),
        "budgets.read": Permission("tenant", _EVERYBODY),
        "budgets.manage": Permission("tenant", _ADMINS, by_token=False),
        "usage.read": Permission("tenant", _EVERYBODY),
        "figures.read": Permission("tenant", _EVERYBODY),
        "connections.read": Permission("tenant", _EVERYBODY),
        "connections.manage": Permission("tenant", _ADMINS),
        "tenants.manage": Permission("platform", _PLATFORM),
        "tenant.read": Permission("tenant", _EVERYBODY),
        "tenant.configure": Permission("tenant", _ADMINS),
        "tenant.suspend": Permission("tenant", _PLATFORM),
        "tenant.export": Permission("tenant", _ADMINS, by_token=False),
        "tenant.delete": Permission("tenant", _PLATFORM, by_token=False),
        "audit.read": Permission("tenant", _ADMINS),
        "installation.audit": Permission("platform", _PLATFORM),
        "members.read": Permission("tenant", _ADMINS),
        "members.manage": Permission("tenant", _ADMINS, by_token=False),
        "people.read": Permission("platform", _PLATFORM),
        "people.manage": Permission("platform", _PLATFORM, by_token=False),
    }
)


def allows(permission: str, role: Role) -> bool:
    """Return whether the role has the permission; False for a permission that is not in the table."""
    known = PERMISSIONS.get(permission)
    return known is not None and role in known.roles


def lesser(one: Role, other: Role) -> Role:
    """Return the role of the two that may do less."""
    return min(one, other, key=ORDER.index)
