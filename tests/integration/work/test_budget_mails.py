"""Administrators told by mail that a budget nears its end or is used up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.databases import DatabaseUrls, TenantRow, TwoTenants
from tests.support.programs import Program
from tests.support.smtp import Letterbox, mail_server
from tests.support.waiting import wait_for

from aiops_host.data import budgets, people, usage
from aiops_host.data.budgets import Budget
from aiops_host.data.people import TenantRole
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.mail import make_mailer
from aiops_host.trust.vault import create_key_file
from aiops_host.work.budget_mails import MOST_TRIES, BudgetMails

ADMIN, SECOND = "ada@a.example", "bob@a.example"


@pytest.fixture
def box() -> Iterator[Letterbox]:
    """A mail server on this machine."""
    with mail_server() as made:
        yield made


@pytest.fixture
async def staffed(opened: Database, two_tenants: TwoTenants) -> TwoTenants:
    """Tenant a with two administrators, one who left and a technician, b with an administrator; a has used 4,000 tokens."""
    a, b = two_tenants
    roles: list[tuple[str, TenantRow, TenantRole]] = [
        (ADMIN, a, "tenant-admin"),
        (SECOND, a, "tenant-admin"),
        ("gone@a.example", a, "tenant-admin"),
        ("tess@a.example", a, "technician"),
        ("eve@b.example", b, "tenant-admin"),
    ]
    for email, tenant, role in roles:
        await people.put_user(opened, email, "no password", roles={tenant.tenant_id: role})
    async with opened.role("app") as con:
        gone = await people.find_person(opened, "gone@a.example")
        assert gone is not None
        await con.fetchval("select person_change($1, $2, $3)", gone.user_id, None, False)
    async with opened.tenant(a.tenant_id) as con:
        line = usage.Line("enhance", "near", "m", calls=1, prompt_tokens=3000, completion_tokens=1000)
        await usage.settle(con, a.tenant_id, usage.Spent([line]))
    return two_tenants


def mails_of(opened: Database, box: Letterbox) -> BudgetMails:
    """Return a worker's part that mails."""
    settings = Settings(
        smtp_url=f"smtp+plain://localhost:{box.port}", mail_from="ops@mail.example", admin_url="https://desk.example"
    )
    mailer = make_mailer(settings)
    assert mailer is not None
    return BudgetMails(opened, mailer, settings.dashboard_url)


async def limit(opened: Database, tenant: TenantRow, tokens: int) -> None:
    """Set the tenant's monthly budget."""
    async with opened.tenant(tenant.tenant_id) as con:
        await budgets.put(con, tenant.tenant_id, "tenant", "month", Budget(tokens=tokens))


async def due_now(opened: Database, tenant: TenantRow) -> list[tuple[str, int]]:
    """Let every wait end; return how each mail stands and how often it was tried."""
    async with opened.tenant(tenant.tenant_id) as con:
        await con.execute("update budget_mail set due_at = clock_timestamp()")
        rows = await con.fetch("select state, tries from budget_mail order by state, tries")
    return [(row["state"], row["tries"]) for row in rows]


@pytest.mark.promise("budget-mailed-once")
async def test_each_administrator_is_told_once_per_threshold(
    opened: Database, staffed: TwoTenants, box: Letterbox
) -> None:
    """At 80 % and at the end each who may act has one mail that says what it means and where to raise it."""
    mails = mails_of(opened, box)
    for tokens in (5001, 5000, 4000):
        await limit(opened, staffed.a, tokens)
        for _ in range(2):
            await mails.look()
        await mails_of(opened, box).look()  # a worker that was started anew

    assert sorted((mail["To"], "nearly" in mail["Subject"]) for mail in box.mails) == [
        (ADMIN, False),
        (ADMIN, True),
        (SECOND, False),
        (SECOND, True),
    ]
    text = box.mails[0].get_content().replace("\r\n", "\n")
    assert text.startswith("The monthly budget of 5,000 tokens, set by the tenant, is used to 80%.\n")
    assert "an administrator of the tenant can raise it" in text
    assert f"https://desk.example/models?tenant={staffed.a.slug}\n" in text


@pytest.mark.promise("budget-mailed-once", figure="8 workers at once")
async def test_of_several_workers_one_sends(opened: Database, staffed: TwoTenants, box: Letterbox) -> None:
    """Workers that look at the same moment send one mail to each administrator together."""
    await limit(opened, staffed.a, 4000)
    await asyncio.gather(*(mails_of(opened, box).look() for _ in range(8)))
    assert sorted(mail["To"] for mail in box.mails) == [ADMIN, SECOND]


async def test_a_mail_server_that_refuses_is_asked_again_and_not_for_ever(
    opened: Database, staffed: TwoTenants, box: Letterbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is logged and waits before the next; after the last try there is peace, and no mail comes twice."""
    await limit(opened, staffed.a, 4000)
    mails = mails_of(opened, box)
    box.refuses = "451 come again"
    for tried in range(1, MOST_TRIES):
        await mails.look()
        await mails.look()  # not due yet
        assert await due_now(opened, staffed.a) == [("failed", tried)] * 2
    box.refuses = None
    await mails.look()
    assert await due_now(opened, staffed.a) == [("sent", MOST_TRIES)] * 2
    assert sorted(mail["To"] for mail in box.mails) == [ADMIN, SECOND]
    assert f"try 1 of {MOST_TRIES}: The mail server localhost refuses: 451 come again" in caplog.text

    box.refuses = "451 come again"
    await limit(opened, staffed.b, 0)
    for _ in range(MOST_TRIES + 2):
        await mails.look()
        found = await due_now(opened, staffed.b)
    assert found == [("failed", MOST_TRIES)]


async def test_a_mail_its_worker_died_over_is_not_sent_twice(
    opened: Database, staffed: TwoTenants, box: Letterbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it arrived, so nobody sends it again; the dashboard, the log and the alert say the same."""
    await limit(opened, staffed.b, 0)
    dying = mails_of(opened, box)
    monkeypatch.setattr(type(dying.mailer), "send", _dies)
    with pytest.raises(RuntimeError, match="killed"):
        await dying.look()
    monkeypatch.undo()
    await mails_of(opened, box).look()
    assert await due_now(opened, staffed.b) == [("sending", 1)]
    assert box.mails == []


async def test_a_mail_server_that_is_away_blocks_nobody(
    opened: Database, staffed: TwoTenants, box: Letterbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop goes on, whatever happens in it."""
    await limit(opened, staffed.b, 0)
    mails = mails_of(opened, box)
    object.__setattr__(mails.mailer, "port", 1)
    running = asyncio.create_task(mails.run())
    async with asyncio.timeout(20):
        while "cannot be used" not in caplog.text:  # noqa: ASYNC110 - another task logs
            await asyncio.sleep(0.02)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_worker_that_knows_a_mail_server_mails(
    opened: Database, staffed: TwoTenants, box: Letterbox, database: DatabaseUrls, tmp_path: Path
) -> None:
    """The worker process looks by itself, from its start on."""
    await limit(opened, staffed.b, 0)
    create_key_file(tmp_path / "key")
    worker = Program(
        "worker",
        folder=tmp_path,
        environment={
            "AIOPS_DATABASE_URL": database.app,
            "AIOPS_SWEEPER_DATABASE_URL": database.sweeper,
            "AIOPS_KEY_FILE": str(tmp_path / "key"),
            "AIOPS_SMTP_URL": f"smtp+plain://localhost:{box.port}",
            "AIOPS_MAIL_FROM": "ops@mail.example",
        },
    )
    try:
        await asyncio.to_thread(wait_for, lambda: box.mails, "the mail", logs=worker.logs)
        assert await asyncio.to_thread(worker.end) == 0
    finally:
        worker.clean_up()
    assert [mail["To"] for mail in box.mails] == ["eve@b.example"]


async def _dies(*_: object) -> None:
    raise RuntimeError("killed")
