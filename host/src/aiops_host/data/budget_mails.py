"""Which administrator was told by mail of which budget, period and threshold: claimed before a mail is sent, by one worker."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from aiops_host.data.budgets import BudgetLevel, Period, SetBy
from aiops_host.data.session import Connection

KEPT = timedelta(days=62)
"""Longer than any period lasts."""


@dataclass(frozen=True, slots=True)
class BudgetMail:
    """One mail there may be: to a person, about a threshold of a budget in the period that began on ``starts``."""

    tenant_id: UUID
    set_by: SetBy
    period: Period
    starts: date
    level: BudgetLevel
    user_id: UUID


_THIS = "tenant_id = $1 and set_by = $2 and period = $3 and starts = $4 and level = $5 and user_id = $6"

_CLAIM = """
insert into budget_mail as m (tenant_id, set_by, period, starts, level, user_id) values ($1, $2, $3, $4, $5, $6)
on conflict (tenant_id, set_by, period, starts, level, user_id) do update set state = 'sending', tries = m.tries + 1
where m.state = 'failed' and m.due_at <= clock_timestamp() and m.tries < $7
returning tries
"""


async def claim(con: Connection, mail: BudgetMail, *, most: int) -> int | None:
    """Take a mail to send it, inside the caller's tenant session; whoever takes it commits before sending.

    Returns:
        The how-manieth try it is, or ``None``: it is sent, being sent, not due, or was tried ``most`` times.
    """
    await con.execute(
        "delete from budget_mail where tenant_id = $1 and starts < now() - $2::interval", mail.tenant_id, KEPT
    )
    tries: int | None = await con.fetchval(_CLAIM, *astuple(mail), most)
    return tries


async def settle(
    con: Connection, mail: BudgetMail, state: Literal["sent", "failed"], again_in: timedelta = timedelta()
) -> None:
    """Note how sending ended, inside the caller's tenant session; a failed mail is due again after ``again_in``."""
    await con.execute(
        f"update budget_mail set state = $7, due_at = clock_timestamp() + $8::interval where {_THIS}",  # noqa: S608 - constant
        *astuple(mail),
        state,
        again_in,
    )


async def told(con: Connection) -> set[BudgetMail]:
    """Return the mails nobody has to send any more or at present, inside the caller's tenant session."""
    rows = await con.fetch(
        "select tenant_id, set_by, period, starts, level, user_id from budget_mail where state <> 'failed'"
    )
    return {BudgetMail(**dict(row)) for row in rows}
