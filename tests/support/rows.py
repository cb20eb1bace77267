"""A row in every table of a tenant, made from the catalog, so that a table added later is tried the day it appears."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

Row = dict[str, Any]

_COLUMNS = """
select c.relname::text as table, a.attname::text as name, format_type(a.atttypid, -1) as type,
       a.attnotnull as required, a.atthasdef or a.attidentity <> '' as filled, a.attidentity = 'a' as numbered,
       coalesce(a.attnum = any(i.indkey::int2[]), false) as key
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_index i on i.indrelid = c.oid and i.indisprimary
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attgenerated = ''
order by c.relname, a.attnum
"""
_LINKS = """
select k.conrelid::regclass::text as table, k.confrelid::regclass::text as parent,
       array(select a.attname::text from unnest(k.conkey) with ordinality x(n, place)
             join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.n order by place) as columns,
       array(select a.attname::text from unnest(k.confkey) with ordinality x(n, place)
             join pg_attribute a on a.attrelid = k.confrelid and a.attnum = x.n order by place) as targets
from pg_constraint k where k.contype = 'f' and k.connamespace = 'public'::regnamespace
"""
_CHECKS = """
select k.conrelid::regclass::text as table, pg_get_constraintdef(k.oid) as text
from pg_constraint k where k.contype = 'c' and k.connamespace = 'public'::regnamespace
"""


@dataclass
class Table:
    """A table as the catalog describes it. ``links`` lead to parents as (columns, parent, its columns)."""

    name: str
    columns: dict[str, asyncpg.Record] = field(default_factory=dict)
    links: list[tuple[Sequence[str], str, Sequence[str]]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)

    @property
    def key(self) -> list[str]:
        """The primary key's columns."""
        return [name for name, column in self.columns.items() if column["key"]]

    @property
    def scoped(self) -> bool:
        """Whether its rows belong to tenants."""
        return "tenant_id" in self.columns


async def tables(con: asyncpg.Connection) -> dict[str, Table]:
    """Return every table of the schema, parents before children."""
    found: dict[str, Table] = {}
    for row in await con.fetch(_COLUMNS):
        found.setdefault(row["table"], Table(row["table"])).columns[row["name"]] = row
    for row in await con.fetch(_LINKS):
        found[row["table"]].links.append((row["columns"], row["parent"], row["targets"]))
    for row in await con.fetch(_CHECKS):
        found[row["table"]].checks.append(row["text"])
    ordered: dict[str, Table] = {}
    while len(ordered) < len(found):
        ready = [
            t
            for t in found.values()
            if t.name not in ordered and all(p in ordered or p == t.name for _, p, _ in t.links)
        ]
        assert ready, f"tables refer to each other in a circle: {sorted(set(found) - set(ordered))}"
        ordered.update((t.name, t) for t in ready)
    return ordered


async def fill(con: asyncpg.Connection, tenant_id: UUID, known: Mapping[str, Table]) -> dict[str, Row]:
    """Give the tenant a row in each of its tables that has none, itself included, and in those they refer to."""
    made: dict[str, Row] = {}
    needed = {parent for table in known.values() if table.scoped for _, parent, _ in table.links}
    for table in known.values():
        own = f'select * from "{table.name}" where tenant_id = $1 limit 1'  # noqa: S608 - from the catalog
        if table.scoped and (there := await con.fetchrow(own, tenant_id)):
            made[table.name] = dict(there)
        elif table.scoped or table.name in needed:
            made[table.name] = await insert(con, table, new_row(table, tenant_id, made))
    return made


async def insert(con: asyncpg.Connection, table: Table, row: Row) -> Row:
    """Insert a row and return it as stored."""
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    names = ", ".join(f'"{name}"' for name in row)
    statement = f'insert into "{table.name}" ({names}) values ({places}) returning *'  # noqa: S608 - from the catalog
    try:
        return dict(await con.fetchrow(statement, *row.values()))
    except asyncpg.IntegrityConstraintViolationError as error:
        raise LookupError(f"teach tests/support/rows.py to fill {table.name}: {error}") from error


def new_row(table: Table, tenant_id: UUID, parents: Mapping[str, Row]) -> Row:
    """Return values for a new row of the tenant below the parents' rows."""
    row: Row = {}
    for columns, parent, targets in table.links:
        if parent in parents:
            pairs = zip(columns, targets, strict=True)
            row.update({c: parents[parent][t] for c, t in pairs if c in table.columns})
    for name, column in table.columns.items():
        if name == "tenant_id":
            row[name] = tenant_id
        elif (
            name not in row
            and not column["numbered"]
            and (column["key"] or (column["required"] and not column["filled"]))
        ):
            row[name] = _value(table, name, column["type"])
    for name in re.findall(r"\((\w+) IS NOT NULL\) OR", " ".join(table.checks)):
        row.setdefault(name, _value(table, name, table.columns[name]["type"]))
    if table.name == "secret":
        row |= _sealed_under(parents["data_key"])
    return row


def _sealed_under(key: Row) -> Row:
    """Return what a seal's own head says of its key; the columns made from it follow."""
    webhook = key["purpose"] == "webhook"
    head = b"AOS1" + bytes([1 if webhook else 2]) + key["version"].to_bytes(4, "big")
    return {"owner_kind": "endpoint" if webhook else "connection", "sealed": head + secrets.token_bytes(32)}


def _value(table: Table, name: str, type_: str) -> Any:
    if type_ == "text":
        return _text(table, name)
    if type_ == "uuid":
        return uuid4()
    if type_.endswith("[]"):
        counted = any(f"cardinality({name})" in check for check in table.checks)
        return ["x"] if counted and type_ == "text[]" else []
    if type_.startswith("timestamp"):
        return datetime.now(UTC)
    simple = {
        "integer": secrets.randbelow(30_000) + 1,
        "bigint": secrets.randbelow(2**40) + 1,
        "smallint": secrets.randbelow(30_000) + 1,
        "boolean": False,
        "bytea": secrets.token_bytes(32),
        "jsonb": "{}",
        "double precision": 1.0,
        "real": 1.0,
        "numeric": 1,
        "date": datetime.now(UTC).date(),
        "inet": "192.0.2.1",
        "cidr": "192.0.2.0/24",
    }
    if type_ not in simple:
        raise LookupError(f"teach tests/support/rows.py the type {type_} of {table.name}.{name}")
    return simple[type_]


def _text(table: Table, name: str) -> str:
    """Return a text all checks on the column let through."""
    token = secrets.token_hex(16)
    mine = [check for check in table.checks if re.search(rf"\b{name}\b", check)]
    candidates = [value for check in mine for value in re.findall(r"'([^']*)'::text", check)]
    candidates = [token, f"x-{token[:12]}", "thing", "thing.change", f"{token}@example.com", "2026-11", *candidates]
    patterns = [p for check in mine for p in re.findall(rf"{name} ~ '([^']*)'", check)]
    for listed in (re.findall(r"'([^']*)'::text", c) for c in mine if f"{name} = ANY" in c):
        return str(listed[0])
    found = next((c for c in candidates if all(re.search(p, c) for p in patterns)), None)
    if found is None:
        raise LookupError(f"teach tests/support/rows.py a text for {table.name}.{name}: {patterns}")
    return found
