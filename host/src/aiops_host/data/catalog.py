"""The tables that hold rows of tenants, read from PostgreSQL's catalog: one added later is known the day it appears."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiops_host.data.session import Connection


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its type as PostgreSQL writes it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class TenantTable:
    """A table with a ``tenant_id``. ``key`` are the further columns of its primary key, in their order."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[Column, ...]
    deletable: bool


async def tenant_tables(con: Connection) -> list[TenantTable]:
    """Return every table with a ``tenant_id``, each before those its rows refer to."""
    rows = await con.fetch(_TABLES)
    parents: dict[str, set[str]] = {row["name"]: set() for row in rows}
    for link in await con.fetch(_LINKS):
        if link["child"] in parents and link["child"] != link["parent"]:
            parents[link["child"]].add(link["parent"])
    found = {
        row["name"]: TenantTable(
            row["name"],
            columns=_columns(row["columns"], row["types"]),
            key=_columns(row["key_columns"], row["key_types"]),
            deletable=row["deletable"],
        )
        for row in rows
    }
    return [found[name] for name in _children_first(parents)]


_TABLES = """
select c.relname::text as name, has_table_privilege(c.oid, 'delete') as deletable,
       array(select a.attname::text from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
       array(select format_type(a.atttypid, a.atttypmod) from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as types,
       array(select a.attname::text from pg_index i cross join unnest(i.indkey) with ordinality k(number, place)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
             where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts and a.attname <> 'tenant_id'
             order by k.place) as key_columns,
       array(select format_type(a.atttypid, a.atttypmod)
             from pg_index i cross join unnest(i.indkey) with ordinality k(number, place)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
             where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts and a.attname <> 'tenant_id'
             order by k.place) as key_types
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and exists (select from pg_attribute a
              where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
order by c.relname
"""

_LINKS = """
select k.conrelid::regclass::text as child, k.confrelid::regclass::text as parent
from pg_constraint k where k.contype = 'f'
"""


def _columns(names: Iterable[str], types: Iterable[str]) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in zip(names, types, strict=True))


def _children_first(parents: Mapping[str, set[str]]) -> list[str]:
    """Return the names so that each stands before all it refers to; tables that refer to each other by their names."""
    left = {name: set(others) for name, others in parents.items()}
    ordered: list[str] = []
    while left:
        wanted = set().union(*left.values())
        free = sorted(left.keys() - wanted) or sorted(left)[:1]
        ordered += free
        for name in free:
            del left[name]
        for others in left.values():
            others.difference_update(free)
    return ordered
