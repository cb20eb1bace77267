"""What one borrower of a pooled connection leaves behind does not reach the next."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser

from aiops_host.data import session
from aiops_host.data.migrate import migrate
from aiops_host.data.session import Database

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("*/src/**/*.py")) + sorted(ROOT.glob("aiops_plugins/*/src/**/*.py"))
LEFT = {
    "tenant": "set app.current_tenant_id = '{tenant}'",
    "role": "set role aiops_intake",
    "session role": "set session authorization aiops_intake",
    "path": "set search_path = pg_temp",
    "timeout": "set statement_timeout = '1ms'",
    "lock": "select pg_advisory_lock(4711)",
    "listen": "listen x",
}
STATE = """
select current_user::text as user, current_setting('app.current_tenant_id', true) as tenant,
       current_setting('search_path') as path, current_setting('statement_timeout') as timeout,
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks
"""


async def _left_behind(database: Database, statement: str) -> list[str]:
    """Plant something on every connection of the pool, give them back, and return what the next borrowers still find."""
    clean = await _states(database)
    for _ in range(4):
        async with database.role("app") as con:
            try:
                await con.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                return []
    found = [
        f"{before} became {after}"
        for before, after in zip(clean, await _states(database), strict=True)
        if before != after
    ]
    async with database.role("app") as con:
        try:
            await con.fetch("select tenant_id from tenant")
            found.append("a query without a tenant is answered")
        except asyncpg.PostgresError:
            pass
    return found


async def _states(database: Database) -> list[dict[str, object]]:
    async with database.role("app") as con:
        row = dict(await con.fetchrow(STATE))
    return [{**row, "tenant": row["tenant"] or ""}]


@pytest.fixture
async def small(database: DatabaseUrls) -> Database:
    """A pool of one connection, so that the next borrower is sure to get it."""
    return await Database.open({"app": database.app}, {"app": 1})


@pytest.mark.attack(1)
@pytest.mark.attack(2, figure="7 things to leave behind")
@pytest.mark.parametrize("what", LEFT)
async def test_nothing_is_left_for_the_next(small: Database, two_tenants: TwoTenants, what: str) -> None:
    """A tenant, role, path, timeout or lock planted on a connection is gone when it is lent again."""
    try:
        assert await _left_behind(small, LEFT[what].format(tenant=two_tenants.a.tenant_id)) == []
        async with small.tenant(two_tenants.b.tenant_id) as con:
            assert [row["tenant_id"] for row in await con.fetch("select tenant_id from tenant")] == [
                two_tenants.b.tenant_id
            ]
    finally:
        await small.close()


@pytest.mark.attack(1)
async def test_without_the_reset_a_tenant_would_be_left(
    small: Database, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the pool's reset taken away the same check finds the tenant before, so its silence means something."""

    async def no_reset(self: object, *, timeout: float | None = None) -> None:
        """Leave everything as it is."""

    monkeypatch.setattr(session._Connection, "reset", no_reset)
    try:
        found = await _left_behind(small, f"set app.current_tenant_id = '{two_tenants.a.tenant_id}'")
        assert any(str(two_tenants.a.tenant_id) in line for line in found)
        assert "a query without a tenant is answered" in found
    finally:
        await small.close()


@pytest.mark.attack(2)
async def test_no_temporary_table_can_stand_before_a_real_one(database: DatabaseUrls) -> None:
    """After a migration no login role may make temporary tables, which would outlive a loan and hide real ones."""
    await execute_as_superuser(database.superuser, f"grant temporary on database {database.name} to public")
    await migrate(database.superuser, [database.app, database.intake, database.sweeper])
    for url in (database.app, database.intake, database.sweeper):
        con = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await con.execute("create temporary table tenant (tenant_id uuid)")
        finally:
            await con.close()


@pytest.mark.attack(2)
def test_nobody_changes_role() -> None:
    """No statement of the product changes a session's role or sets a tenant for longer than a transaction."""
    offences = []
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.lower()
                if re.search(r"\bset\s+(local\s+)?(role\s+[^=\s]|session authorization)", text):
                    offences.append(f"{source.name}:{node.lineno} changes the role")
                if "app.current_tenant_id" in text and re.search(r"\bset\s+(session\s+)?app\.|, false\)", text):
                    offences.append(f"{source.name}:{node.lineno} sets a tenant for a whole connection")
    for script in ROOT.glob("host/src/**/*.sql"):
        if re.search(
            r"^\s*set\s+(role|session)|app\.current_tenant_id',[^;]*, false\)", script.read_text().lower(), re.M
        ):
            offences.append(f"{script.name} changes role or tenant for a connection")
    assert offences == []
    assert len(SOURCES) > 100


@pytest.mark.attack(33)
async def test_a_tenant_is_digits_only(opened: Database, two_tenants: TwoTenants) -> None:
    """What opens a tenant's transaction holds a UUID's own digits; whatever else is given is refused before SQL."""
    for forged in (f"{two_tenants.a.tenant_id}', true); select set_config('app.current_tenant_id', '", "x", None, 7):
        with pytest.raises((AttributeError, TypeError, ValueError)):
            async with opened.tenant(forged):  # type: ignore[arg-type]
                pass
    async with opened.tenant(uuid4()) as con:
        assert await con.fetch("select tenant_id from tenant") == []
