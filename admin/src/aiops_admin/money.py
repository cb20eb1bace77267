"""The host's API of keys, budgets and usage, for one person in one tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from aiops_admin.client import Api
from aiops_admin.wire_doors import Probe
from aiops_admin.wire_money import Budget, Provider, TenantBudget, Unpriced, Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Money:
    """Calls with the person's token about the chosen tenant."""

    api: Api
    token: str
    tenant: str | None = None

    async def providers(self) -> tuple[Provider, ...]:
        """Return the providers, in the order they are asked."""
        return await self._call("GET", "/providers", tuple[Provider, ...])

    async def enter_key(self, entry: dict[str, Any]) -> Probe:
        """Enter a key and return its test."""
        return await self._call("PUT", "/providers/key", Probe, json=entry)

    async def test_key(self, provider: str) -> Probe:
        """Have a worker try the key in use."""
        return await self._call("POST", "/providers/test", Probe, json={"provider": provider})

    async def drop_key(self, provider: str) -> None:
        """Destroy a key."""
        await self._call("DELETE", "/providers/key", type(None), provider=provider)

    async def order(self, names: list[str]) -> tuple[Provider, ...]:
        """Say in which order providers are asked."""
        return await self._call("PUT", "/providers/order", tuple[Provider, ...], json={"order": names})

    async def budgets(self) -> tuple[Budget, ...]:
        """Return the tenant's budgets."""
        return await self._call("GET", "/budgets", tuple[Budget, ...])

    async def unpriced(self) -> tuple[Unpriced, ...]:
        """Return the models a budget in USD keeps from being asked."""
        return await self._call("GET", "/budgets/unpriced", tuple[Unpriced, ...])

    async def set_budget(self, entry: dict[str, Any]) -> tuple[Budget, ...]:
        """Set a budget."""
        return await self._call("PUT", "/budgets", tuple[Budget, ...], json=entry)

    async def drop_budget(self, period: str) -> None:
        """Take a budget away."""
        await self._call("DELETE", "/budgets", type(None), period=period)

    async def usage(self) -> tuple[Usage, ...]:
        """Return what was used this month."""
        return await self._call("GET", "/usage", tuple[Usage, ...])

    async def overview(self) -> tuple[TenantBudget, ...]:
        """Return every tenant's budgets; for platform administrators."""
        return await self.api.call("GET", "/installation/budgets", self.token, tuple[TenantBudget, ...])

    async def _call(self, method: str, path: str, answer: type[T], *, json: object = None, **query: str) -> T:
        asked = {"tenant": self.tenant, **query}
        return await self.api.call(method, path, self.token, answer, query=asked, json=json)
