"""The one table of permissions."""

from typing import get_args

import pytest

from aiops_host.trust.permissions import ORDER, PERMISSIONS, PermissionName, Role, allows, lesser


def test_every_name_a_route_may_ask_for_is_in_the_table() -> None:
    """The names routes are written with and the table's are the same."""
    assert set(PERMISSIONS) == set(get_args(PermissionName))


def test_a_name_outside_the_table_is_nobodys() -> None:
    """A misspelt permission lets nobody in, the platform's administrator included."""
    assert not any(allows("deliveries.rad", role) for role in get_args(Role))


@pytest.mark.parametrize("name", sorted(PERMISSIONS))
def test_roles_contain_each_other(name: str) -> None:
    """Whoever has a role may do all that the lesser roles may."""
    order: list[Role] = ["read-only", "technician", "tenant-admin", "platform-admin"]
    held = [allows(name, role) for role in order]
    assert held == sorted(held)


def test_readers_change_nothing() -> None:
    """Read-only people have reading permissions only, and their own account."""
    readable = {name for name, entry in PERMISSIONS.items() if entry.scope != "public" and allows(name, "read-only")}
    assert {name.rpartition(".")[2] for name in readable} == {"read", "self", "account"}


def test_the_public_permission_is_no_role() -> None:
    """Only the public permission asks for nothing, and nobody is granted it by role."""
    assert [name for name, entry in PERMISSIONS.items() if entry.scope == "public"] == ["public"]
    assert PERMISSIONS["public"].roles == frozenset()


def test_a_token_opens_no_other_door() -> None:
    """What a stolen token must not do asks for a session: accounts, tokens, members, people."""
    doors = {name for name, entry in PERMISSIONS.items() if not entry.by_token}
    assert doors >= {"account", "members.manage", "people.manage"}


def test_the_lesser_of_two_roles_is_the_one_with_fewer_permissions() -> None:
    """Roles are ordered as the table orders them."""
    assert set(ORDER) == set(get_args(Role))
    held = [sum(allows(name, role) for name in PERMISSIONS) for role in ORDER]
    assert held == sorted(set(held))
    assert lesser("technician", "platform-admin") == lesser("platform-admin", "technician") == "technician"
