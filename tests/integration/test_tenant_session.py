"""The tenant session on a real PostgreSQL."""

from tests.support.databases import TwoTenants

from aiops_host.data.session import Database


async def test_a_tenant_sees_only_its_own_row(opened: Database, two_tenants: TwoTenants) -> None:
    """In the session of one tenant the other tenant's rows do not exist."""
    for tenant in two_tenants:
        async with opened.tenant(tenant.tenant_id) as con:
            assert [r["slug"] for r in await con.fetch("select slug from tenant")] == [tenant.slug]
