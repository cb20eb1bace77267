"""Piccolo's engine for queries inside a tenant session; outside of one every query raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from piccolo.engine.postgres import PostgresEngine

from aiops_core.errors import AiopsError


class UnscopedQuery(AiopsError):
    """A query was made outside a tenant session."""


class TenantEngine(PostgresEngine):
    """Runs queries on the connection of the current tenant session only."""

    async def check_version(self) -> None:
        """Leave the server alone: constructing an engine must do no I/O."""

    async def prep_database(self) -> None:
        """Create no extension."""

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> NoReturn:
        raise UnscopedQuery

    async def _run_in_new_connection(self, query: str, args: Sequence[Any] | None = None) -> NoReturn:
        raise UnscopedQuery

    def transaction(self, allow_nested: bool = True) -> NoReturn:
        """Refuse: inside a session it would be a silent no-op."""
        raise UnscopedQuery("Use the tenant session; it is the transaction.")

    async def batch(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a batch opens a connection of its own, outside the session."""
        raise UnscopedQuery("A batch would leave the tenant session; page through the rows instead.")


ENGINE = TenantEngine(config={}, extensions=())
