"""Whether the walls between tenants stand, asked at every start."""

from __future__ import annotations

from aiops_host.data.session import Database, RoleRefused

_OPEN = """
select c.relname::text from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
  and not (c.relrowsecurity and c.relforcerowsecurity
           and exists (select from pg_policy p where p.polrelid = c.oid))
order by 1
"""


async def check(database: Database) -> None:
    """Refuse to start while a table of tenants is without row-level security, enabled and forced, or a policy.

    Raises:
        RoleRefused: The message names the tables.
    """
    async with database.role("app") as con:
        found = [row["relname"] for row in await con.fetch(_OPEN)]
    if found:
        raise RoleRefused(
            f"Row-level security does not keep tenants apart in: {', '.join(found)}. Somebody changed the schema by hand; "
            "`alter table ... enable row level security` and `force row level security` put it back, or restore a backup."
        )
