"""How the part that accepts a delivery tells the part that works on it, without either knowing the other."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class Waker(Protocol):
    """Says that a delivery is due. A lost wake-up only costs time: due work is also looked for in PostgreSQL."""

    async def wake(self, tenant_id: UUID, delivery_id: UUID) -> None:
        """Announce one delivery; may raise whatever its transport raises."""
        ...

    async def ping(self) -> bool:
        """Return whether wake-ups travel at present."""
        ...

    async def aclose(self) -> None:
        """Release the connections."""
        ...


class NoWaker:
    """Announces nothing: the worker finds due work by looking."""

    async def wake(self, tenant_id: UUID, delivery_id: UUID) -> None:
        """Do nothing."""

    async def ping(self) -> bool:
        """Return True: there is nothing that could be away."""
        return True

    async def aclose(self) -> None:
        """Do nothing."""
