"""How the part that accepts a delivery tells the part that works on it, without either knowing the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias
from uuid import UUID

DueIds: TypeAlias = tuple[UUID, UUID]
"""A delivery that is due: its tenant's id and its own."""


class Waker(Protocol):
    """Says that a delivery is due. A lost wake-up only costs time: due work is also looked for in PostgreSQL."""

    async def wake(self, due: Sequence[DueIds]) -> None:
        """Announce deliveries; may raise whatever its transport raises."""
        ...

    async def ping(self) -> bool:
        """Return whether wake-ups travel at present."""
        ...

    async def aclose(self) -> None:
        """Release the connections."""
        ...


class NoWaker:
    """Announces nothing: the worker finds due work by looking."""

    async def wake(self, due: Sequence[DueIds]) -> None:
        """Do nothing."""

    async def ping(self) -> bool:
        """Return True: there is nothing that could be away."""
        return True

    async def aclose(self) -> None:
        """Do nothing."""
