"""A tenant's administrators told by mail that a budget nears its end or is used up: once per budget, period and threshold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from aiops_core.plugins import explain
from aiops_host.data import budget_mails, budgets, members, tenants
from aiops_host.data.budget_mails import BudgetMail
from aiops_host.data.budgets import BudgetState
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.members import MemberView
from aiops_host.data.session import Database
from aiops_host.data.tenants import TenantRecord
from aiops_host.trust.mail import Mail, Mailer, MailFailed

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
MOST_TRIES = 6
FIRST_WAIT = timedelta(minutes=1)
"""Doubled with each try: half an hour in all."""


@dataclass(slots=True)
class BudgetMails:
    """Looks every ``LOOK_SECONDS`` until cancelled; nothing else waits for it."""

    database: Database
    mailer: Mailer
    dashboard: str

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except TRY_AGAIN as error:
                log.debug("mails about budgets wait: %s", explain(error))
            except Exception:  # isolation: job top; what was not sent is looked at again
                log.exception("mails about budgets broke off")
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Send what is to be sent now."""
        crossed = [one for one in await budgets.overview(self.database) if one.budget.level != "ok"]
        there = {tenant.slug: tenant for tenant in await tenants.directory(self.database)} if crossed else {}
        for one in crossed:
            if one.tenant in there:
                await self._tell(there[one.tenant], one.budget)

    async def _tell(self, tenant: TenantRecord, budget: BudgetState) -> None:
        async with self.database.tenant(tenant.id) as con:
            told = await budget_mails.told(con)
        async for person in self._administrators(tenant):
            mail = _mail_of(tenant, budget, person)
            if mail not in told:
                await self._send(mail, self._written(tenant, budget, person))

    async def _send(self, mail: BudgetMail, written: Mail) -> None:
        async with self.database.tenant(mail.tenant_id) as con:
            tries = await budget_mails.claim(con, mail, most=MOST_TRIES)
        if tries is None:
            return
        try:
            await self.mailer.send(written)
        except MailFailed as error:
            log.warning("a mail about a budget was not sent, try %d of %d: %s", tries, MOST_TRIES, error)
            async with self.database.tenant(mail.tenant_id) as con:
                await budget_mails.settle(con, mail, "failed", FIRST_WAIT * 2 ** (tries - 1))
        else:
            async with self.database.tenant(mail.tenant_id) as con:
                await budget_mails.settle(con, mail, "sent")

    async def _administrators(self, tenant: TenantRecord) -> AsyncIterator[MemberView]:
        cursor: str | None = None
        while True:
            page = await members.list_(self.database, tenant.id, limit=members.MAX_PAGE, cursor=cursor)
            for person in page.items:
                if person.role == "tenant-admin" and person.active:
                    yield person
            if (cursor := page.next) is None:
                return

    def _written(self, tenant: TenantRecord, budget: BudgetState, person: MemberView) -> Mail:
        end = "is used up" if budget.level == "reached" else "is nearly used up"
        raised = "whoever runs this installation" if budget.set_by == "operator" else "an administrator of the tenant"
        text = (
            f"{budget.sentence}\n\n"
            f"It is renewed on {budget.renews} (UTC), and {raised} can raise it before:\n\n"
            f"{self.dashboard}/models?tenant={tenant.slug}\n\n"
            f"You get this mail as an administrator of {tenant.name}, once for this budget and period.\n"
        )
        return Mail(to=person.email, subject=f"AI Ops: a budget of {tenant.name} {end}", text=text)


def _mail_of(tenant: TenantRecord, budget: BudgetState, person: MemberView) -> BudgetMail:
    return BudgetMail(tenant.id, budget.set_by, budget.period, budget.starts, budget.level, person.user_id)
