"""Budgets of all tenants looked at now and then: metrics show their levels, the log says when one is crossed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import get_args

from aiops_core.plugins import explain
from aiops_host.data import budgets
from aiops_host.data.budgets import BudgetLevel
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.session import Database
from aiops_host.watch.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0


@dataclass(slots=True)
class BudgetWatch:
    """Looks every ``LOOK_SECONDS`` until cancelled."""

    database: Database
    metrics: Metrics
    _told: set[tuple[str, str, str, str, str]] = field(default_factory=set)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except TRY_AGAIN as error:
                log.debug("budgets were not looked at: %s", explain(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once; a level is told once in its period."""
        found = await budgets.overview(self.database)
        levels = Counter(one.budget.level for one in found)
        self.metrics.show_budgets({level: levels[level] for level in get_args(BudgetLevel)})
        crossed: set[tuple[str, str, str, str, str]] = set()
        for one in found:
            if one.budget.level == "ok":
                continue
            key = (one.tenant, one.budget.set_by, one.budget.period, str(one.budget.starts), one.budget.level)
            crossed.add(key)
            if key not in self._told:
                log.warning("tenant %s: %s", one.tenant, one.budget.sentence)
        self._told = crossed
