"""Every route with every kind of id: who may not see a thing cannot tell it from one there is not.

The routes come from the OpenAPI document and the ids from the database's catalog, so that a route or a table added
later is covered the day it appears.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from litestar import Litestar
from tests.integration.web.conftest import Staff
from tests.support.databases import DatabaseUrls, TwoTenants
from tests.support.openapi import Operation, operations, smallest
from tests.support.rows import Row, Table, fill, tables

from aiops_host.settings import Settings
from aiops_host.trust import permissions
from aiops_host.trust.permissions import PERMISSIONS, Role, allows
from aiops_host.web import access

Ids = dict[str, tuple[str, str]]
CHANGING_HEADERS = frozenset({"date", "content-length"})
# Routes whose answer to a body of the schema's smallest shape says nothing about ids yet: say here what fits.
BODIES: Mapping[str, Any] = {}
REACHED = frozenset({403, 404})
# What holds no id; why a string is no date depends on its digits alone.
FREE_QUERIES = frozenset({"tenant", "limit", "cursor", "since", "until"})


class Answer(NamedTuple):
    """What a caller can tell answers apart by; the id asked for, where it is repeated, is taken out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class World:
    """Two tenants with a row in each table; ``ids`` are tenant a's, by kind, each beside a random one of its shape."""

    http: httpx.AsyncClient
    document: dict[str, Any]
    superuser: asyncpg.Connection
    known: dict[str, Table]
    a: UUID
    ids: Ids

    def operations(self) -> Iterator[Operation]:
        """Yield the API's operations."""
        yield from (o for o in operations(self.document) if o.path.startswith("/api/"))

    async def rows_of_a(self) -> dict[str, list[Row]]:
        """Return everything tenant a has."""
        return {
            name: [
                dict(row)
                for row in await self.superuser.fetch(
                    f'select * from "{name}" where tenant_id = $1 order by 1, 2',  # noqa: S608 - from the catalog
                    self.a,
                )
            ]
            for name, table in self.known.items()
            if table.scoped
        }

    async def ask(self, operation: Operation, id_: str, who: Mapping[str, str], query: str = "") -> Answer:
        """Ask with the id in every place of the path and the body that takes one."""
        path = operation.path
        for name in operation.parameters("path"):
            path = path.replace(f"{{{name}}}", id_)
        schema = operation.body
        body = BODIES.get(operation.name, None if schema is None else smallest(schema, self.document, id_))
        needed = {name: smallest(shape, self.document, id_) for name, shape in operation.needed.items()}
        path += query or (f"?{urlencode(needed)}" if needed else "")
        answer = await self.http.request(operation.method, path, headers=who, json=body)
        self.http.cookies.clear()
        headers = tuple((n, v) for n, v in sorted(answer.headers.items()) if n not in CHANGING_HEADERS)
        named = id_ or query.rpartition("=")[2]
        return Answer(
            answer.status_code, headers, answer.content.replace(named.encode(), b"ID") if named else answer.content
        )


@pytest.fixture
def settings() -> Settings:
    """No limits: the matrix asks more often than a person would."""
    return Settings(base_url="https://aiops.example", requests_per_tenant=0)


@pytest.fixture
async def world(
    database: DatabaseUrls, two_tenants: TwoTenants, http: httpx.AsyncClient, staff: Staff
) -> AsyncIterator[World]:
    """Both tenants filled from the catalog."""
    con = await asyncpg.connect(database.superuser)
    try:
        known = await tables(con)
        rows, _ = [await fill(con, tenant.tenant_id, known) for tenant in two_tenants]
        ids: Ids = {}
        for name, row in rows.items():
            for column in known[name].key:
                if isinstance(row[column], UUID | str) and known[name].scoped:
                    ids.setdefault(column, (str(row[column]), _like(row[column])))
        document = (await http.get("/openapi.json")).json()
        yield World(http, document, con, known, two_tenants.a.tenant_id, ids)
    finally:
        await con.close()


def _like(value: UUID | str) -> str:
    return str(uuid4()) if isinstance(value, UUID) else uuid4().hex[: len(value)].ljust(len(value), "0")


def _fitting(world: World, operation: Operation) -> list[tuple[str, str]]:
    """Return the pairs of ids that fit the shape of the path's parameters."""
    shapes = {schema.get("format") for schema in operation.parameters("path").values()}
    only_uuids = "uuid" in shapes or not shapes
    return [(own, random) for own, random in world.ids.values() if not only_uuids or _is_uuid(own)]


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def _permission(app: Litestar, operation: Operation) -> str:
    for route in app.routes:
        if getattr(route, "path_format", "") == operation.path:
            for handler in getattr(route, "route_handlers", []):
                if operation.method.upper() in handler.http_methods:
                    return str(handler.opt["permission"])
    raise LookupError(operation.name)


@pytest.mark.promise("tenants-apart", figure="every route with every kind of id")
@pytest.mark.attack(8, figure="every route with every kind of id")
async def test_another_tenants_ids_are_like_random_ones(world: World, staff: Staff) -> None:
    """To the other tenant's administrator, and to whoever has no session, each id answers byte for byte like a random one."""
    before = await world.rows_of_a()
    asked, unreached, told = 0, set(), []
    for operation in world.operations():
        takes_ids = bool(operation.parameters("path"))
        for own, random in _fitting(world, operation):
            for who in (staff.admin_b, {}):
                if not takes_ids and who:
                    continue
                mine, theirs = [await world.ask(operation, id_, who) for id_ in (own, random)]
                asked += 1
                if mine != theirs:
                    told.append(f"{operation.name} tells {own} of tenant a from {random}: {mine} {theirs}")
                if who and mine.status not in REACHED:
                    unreached.add(f"{operation.name} answers {mine.status} {mine.body!r}")
    assert told == []
    assert sorted(unreached) == [], "say in BODIES what these routes take"
    assert asked > 200
    assert await world.rows_of_a() == before


@pytest.mark.attack(8)
async def test_another_tenants_names_find_nothing_in_lists(world: World, staff: Staff) -> None:
    """A list asked for another tenant's ids, or for its slug, answers as for ones there are not."""
    slugs = [f"?tenant={slug}" for slug in ("tenant-a", "tenant-x")]
    for operation in world.operations():
        if operation.method != "get" or operation.parameters("path"):
            continue
        pairs = [("tenant", tuple(slugs))] if "tenant" in operation.parameters("query") else []
        for name in set(operation.parameters("query")) - FREE_QUERIES:
            pairs += [(name, (f"?{name}={own}", f"?{name}={random}")) for own, random in world.ids.values()]
        for name, queries in pairs:
            mine, theirs = [await world.ask(operation, "", staff.admin_b, query) for query in queries]
            assert mine == theirs, f"{operation.name} by {name}"


@pytest.mark.attack(8)
@pytest.mark.promise("routes-ask")
async def test_a_lesser_role_learns_nothing_from_ids(app: Litestar, world: World, staff: Staff) -> None:
    """Where a role has no permission, an id of its own tenant answers like a random one, and nothing changes."""
    before = await world.rows_of_a()
    people: tuple[tuple[Role, dict[str, str]], ...] = (
        ("read-only", staff.reader_a),
        ("technician", staff.technician_a),
        ("tenant-admin", staff.admin_a),
    )
    refused = 0
    for operation in world.operations():
        name = _permission(app, operation)
        for role, who in people:
            if PERMISSIONS[name].scope == "public" or allows(name, role):
                continue
            for own, random in _fitting(world, operation):
                mine, theirs = [await world.ask(operation, id_, who) for id_ in (own, random)]
                assert mine == theirs, f"{operation.name} as {role}"
                assert mine.status == 403, f"{operation.name} as {role} answers {mine.status}"
                refused += 1
    assert refused > 20
    assert await world.rows_of_a() == before


async def test_a_leak_is_found(app: Litestar, world: World, staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a route's permission lowered, or its look-up past the wall, the matrix sees the difference."""
    operation = next(o for o in world.operations() if o.name == "POST /api/v1/connections/{connection_id}/pause")
    lowered = {**PERMISSIONS, "connections.manage": PERMISSIONS["connections.read"]}
    for module in (access, permissions):
        monkeypatch.setattr(module, "PERMISSIONS", lowered)
    own, random = world.ids["connection_id"]
    mine, theirs = [await world.ask(operation, id_, staff.reader_a) for id_ in (own, random)]
    assert mine != theirs
