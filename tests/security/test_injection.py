"""SQL in every place a caller can write: nothing of it is run, nothing foreign is seen, nothing is changed."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from tests.integration.web.conftest import Door, Staff
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.openapi import Operation, operations, smallest
from tests.support.rows import fill, tables

from aiops_host.settings import Settings

ROOT = Path(__file__).parents[2]
CANARY = "INJECTED-CANARY"
FRAGMENTS = (
    "' or '1'='1",
    "' or 1=1 --",
    "'; update tenant set name = 'INJECTED-CANARY' --",
    "'); select set_config('app.current_tenant_id', '{other}', true); --",
    "' union select slug from tenant --",
    "\\'; drop table run; --",
    "$$; select pg_sleep(9); $$",
    "x' || (select name from tenant limit 1) || '",
    "1); set role aiops_owner; --",
    "%' or slug like '%",
    "{other}' --",
    "null",
    "\u02bc or 1=1",
    "E'\\x27 or 1=1",
)
# Reviewed: what is formatted into statements comes from the catalog, from constants or from numbered places.
BUILT = {
    ("deliveries.py", "where"),
    ("deliveries.py", "limit + 1"),
    ("effects.py", "assignments"),
    ("erasure.py", "table.name"),
    ("migrate.py", "', '.join(LOGIN_ROLES)"),
    ("migrate.py", "role"),
    ("migrate.py", "secret"),
    ("session.py", "self.get_reset_query()"),
}
CALLS = {"execute", "fetch", "fetchrow", "fetchval", "executemany", "cursor"}


@pytest.fixture
def settings() -> Settings:
    """No limits: many fragments go to many places."""
    return Settings(base_url="https://aiops.example", requests_per_tenant=0)


@pytest.fixture
async def superuser(
    database: DatabaseUrls, two_tenants: TwoTenants, doors: tuple[Door, Door]
) -> AsyncIterator[asyncpg.Connection]:
    """Both tenants with a row in every table, and a look at all of them."""
    con = await asyncpg.connect(database.superuser)
    try:
        known = await tables(con)
        for tenant in two_tenants:
            await fill(con, tenant.tenant_id, known)
        yield con
    finally:
        await con.close()


@pytest.mark.attack(33, figure="14 fragments in every text a caller can send")
async def test_no_fragment_is_run(
    http: httpx.AsyncClient,
    staff: Staff,
    superuser: asyncpg.Connection,
    two_tenants: TwoTenants,
    doors: tuple[Door, Door],
) -> None:
    """In paths, queries and bodies of every route, and in a login, SQL is a value like any other."""
    document = (await http.get("/openapi.json")).json()
    foreign = [str(doors[1].connection.connection_id), doors[1].connection.endpoint_id, "Tenant-B"]
    asked = 0
    for fragment in (f.replace("{other}", str(two_tenants.b.tenant_id)) for f in FRAGMENTS):
        for operation in operations(document):
            if not operation.path.startswith("/api/") or _ends_the_session(operation):
                continue
            path, texts = operation.path, operation.parameters("query")
            for name in operation.parameters("path"):
                path = path.replace(f"{{{name}}}", quote(fragment, safe=""))
            names = [n for n, shape in texts.items() if shape.get("format") != "uuid"]
            query = "&".join(f"{name}={quote(fragment)}" for name in names if name != "tenant")
            body = None if operation.body is None else _with(smallest(operation.body, document, fragment), fragment)
            answer = await http.request(operation.method, f"{path}?{query}", headers=staff.admin_a, json=body)
            http.cookies.clear()
            asked += 1
            assert answer.status_code < 500, f"{operation.name} {fragment}: {answer.text}"
            assert not [f for f in foreign if f in answer.text], f"{operation.name} {fragment}"
        tenant = await http.get(f"/api/v1/runs?tenant={quote(fragment)}", headers=staff.admin_a)
        assert tenant.status_code in (400, 404)
    assert asked > 300
    assert not await superuser.fetchval(
        "select exists(select from tenant where name like '%CANARY%' and slug = 'tenant-b')"
    )
    assert await superuser.fetchval("select count(*) from tenant where slug in ('tenant-a', 'tenant-b')") == 2
    assert await superuser.fetchval("select count(*) > 0 from run")


def _ends_the_session(operation: Operation) -> bool:
    return operation.method != "get" and operation.path.startswith(("/api/v1/me", "/api/v1/logout", "/api/v1/account"))


def _with(value: object, fragment: str) -> object:
    if isinstance(value, str):
        return fragment
    if isinstance(value, dict):
        return {name: _with(item, fragment) for name, item in value.items()}
    return [_with(item, fragment) for item in value] if isinstance(value, list) else value


@pytest.mark.attack(33)
def test_statements_are_built_of_constants() -> None:
    """A statement made by formatting names only what stands in the same module in capitals, or was reviewed."""
    built = set()
    for source in sorted((ROOT / "host/src/aiops_host").rglob("*.py")):
        if "retrieval" in source.parts:
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CALLS:
                parts = (part for argument in node.args[:1] for part in ast.walk(argument))
                named = {ast.unparse(part.value) for part in parts if isinstance(part, ast.FormattedValue)}
                built |= {(source.name, name) for name in named if not name.isupper()}
    assert built <= BUILT
