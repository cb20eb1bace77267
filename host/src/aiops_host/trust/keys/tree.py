"""One key that gives every tenant a key of its own, and can forget single ones for good.

A binary tree in which a node's children are HMACs of it (Goldreich, Goldwasser, Micali 1986); a tenant's id is the path
from the root to its key. To forget a tenant, the nodes on its path are dropped and their siblings kept: every other
tenant's key can still be made, this one by nobody (a puncturable pseudorandom function: Boneh, Waters 2013).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TypeAlias
from uuid import UUID

DEPTH = 128
Node: TypeAlias = tuple[int, int]
"""Depth below the root, and that many leading bits of the ids underneath."""
ROOT: Node = (0, 0)
Nodes: TypeAlias = Mapping[Node, bytes]
"""What is known of a tree: no node is above another."""


class Forgotten(LookupError):
    """The tenant's key cannot be made from what is left of the tree."""


def tenant_key(nodes: Nodes, tenant: UUID) -> bytes:
    """Return the tenant's key, 32 bytes.

    Raises:
        Forgotten: It was punctured.
    """
    (depth, _), value = _known_above(nodes, tenant)
    for below in range(depth + 1, DEPTH + 1):
        value = _child(value, _prefix(tenant, below) & 1)
    return value


def puncture(nodes: Nodes, tenant: UUID) -> dict[Node, bytes]:
    """Return what is to be kept so that the tenant's key can no longer be made and every other one can."""
    kept = dict(nodes)
    try:
        above, value = _known_above(nodes, tenant)
    except Forgotten:
        return kept
    del kept[above]
    for depth in range(above[0] + 1, DEPTH + 1):
        prefix = _prefix(tenant, depth)
        kept[depth, prefix ^ 1] = _child(value, prefix & 1 ^ 1)
        value = _child(value, prefix & 1)
    return kept


def _known_above(nodes: Nodes, tenant: UUID) -> tuple[Node, bytes]:
    for depth in range(DEPTH + 1):
        node = depth, _prefix(tenant, depth)
        if node in nodes:
            return node, nodes[node]
    raise Forgotten


def _prefix(tenant: UUID, depth: int) -> int:
    return tenant.int >> (DEPTH - depth)


def _child(value: bytes, side: int) -> bytes:
    return hmac.digest(value, bytes([side]), "sha256")
