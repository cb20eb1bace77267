"""Keys of tenants from one key, and tenants forgotten for good."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_host.trust.keys.tree import DEPTH, ROOT, Forgotten, puncture, tenant_key

NODES = {ROOT: bytes(range(32))}
tenants = st.lists(st.uuids(), min_size=1, max_size=6, unique=True)


@given(st.uuids(), st.uuids())
def test_each_tenant_has_a_key_of_its_own(one: UUID, other: UUID) -> None:
    """The same tenant always gets the same 32 bytes, two tenants never."""
    assert tenant_key(NODES, one) == tenant_key(NODES, one)
    assert len(tenant_key(NODES, one)) == 32
    assert (tenant_key(NODES, one) == tenant_key(NODES, other)) == (one == other)


@given(tenants, tenants)
def test_a_forgotten_tenant_is_gone_and_the_others_stay(forgotten: list[UUID], kept: list[UUID]) -> None:
    """After tenants were forgotten in any order no key of theirs can be made, and each other tenant's is as before."""
    nodes = dict(NODES)
    for tenant in (*forgotten, *forgotten):
        nodes = puncture(nodes, tenant)
    for tenant in forgotten:
        with pytest.raises(Forgotten):
            tenant_key(nodes, tenant)
    for tenant in set(kept) - set(forgotten):
        assert tenant_key(nodes, tenant) == tenant_key(NODES, tenant)


@given(tenants)
def test_nothing_that_is_kept_leads_to_a_forgotten_tenant(forgotten: list[UUID]) -> None:
    """No node that is kept lies on the path to a forgotten tenant, so that no computation gives its key."""
    nodes = dict(NODES)
    for tenant in forgotten:
        nodes = puncture(nodes, tenant)
    for depth, prefix in nodes:
        assert all(tenant.int >> (DEPTH - depth) != prefix for tenant in forgotten)
    lost = {tenant_key(NODES, tenant) for tenant in forgotten}
    assert not lost & set(nodes.values())


def test_neighbours_are_told_apart() -> None:
    """Two ids that differ in the last bit have different keys; forgetting one leaves the other."""
    one, other = UUID(int=2**127), UUID(int=2**127 + 1)
    nodes = puncture(NODES, one)
    assert tenant_key(nodes, other) == tenant_key(NODES, other) != tenant_key(NODES, one)
    assert len(nodes) == DEPTH
