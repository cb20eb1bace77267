"""How tables of tenants are put in order, from what a catalog says."""

from __future__ import annotations

from typing import Any

import pytest

from aiops_host.data.catalog import Column, TenantTable, tenant_tables


class Catalog:
    """A connection to a catalog of these tables and of these links from child to parent."""

    def __init__(self, tables: str, links: str = "") -> None:
        """Take names, and pairs such as ``a>b``, each separated by a space."""
        row = {"columns": ["tenant_id", "a"], "types": ["uuid", "text"], "key_columns": ["a"], "key_types": ["text"]}
        self._tables = [{"name": name, "deletable": name != "kept", **row} for name in tables.split()]
        self._links = [dict(zip(("child", "parent"), link.split(">"), strict=True)) for link in links.split()]

    async def fetch(self, query: str) -> list[dict[str, Any]]:
        """Return the tables, or the links."""
        return self._links if "pg_constraint" in query else self._tables


async def order(tables: str, links: str) -> str:
    """Return the names in their order."""
    return " ".join(table.name for table in await tenant_tables(Catalog(tables, links)))


async def test_a_row_of_the_catalog_becomes_a_table() -> None:
    """Columns and key keep their order and types, and whether rows may be deleted is said."""
    columns, key = (Column("tenant_id", "uuid"), Column("a", "text")), (Column("a", "text"),)
    assert await tenant_tables(Catalog("free kept")) == [
        TenantTable("free", columns, key, deletable=True),
        TenantTable("kept", columns, key, deletable=False),
    ]


@pytest.mark.promise("tenant-gone")
@pytest.mark.parametrize(
    ("tables", "links", "ordered"),
    [
        ("", "", ""),
        ("b a c", "", "a b c"),
        ("parent child", "child>parent", "child parent"),
        ("a b c", "c>b b>a", "c b a"),
        ("a b c d", "d>a d>b b>a c>a", "c d b a"),
        ("itself", "itself>itself", "itself"),
        ("a b", "b>a elsewhere>b a>elsewhere", "b a"),
        ("b a", "a>b b>a", "a b"),
        ("x b a", "a>b b>a x>a", "x a b"),
        ("a b c", "a>c c>a c>b", "a c b"),
        ("c b a p", "a>b b>a a>p c>p", "c a b p"),
    ],
)
async def test_each_table_stands_before_those_it_refers_to(tables: str, links: str, ordered: str) -> None:
    """Children come first, by name where it does not matter; a circle is cut open at the first name of it."""
    assert await order(tables, links) == ordered
