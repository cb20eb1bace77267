"""Secrets to put into a database and to read again, each with its own name as its plaintext."""

from uuid import UUID, uuid4

from aiops_host.data.connections import SealedSecret
from aiops_host.data.session import Database
from aiops_host.data.tenants import directory
from aiops_host.trust.handles import seal_all, secret_name
from aiops_host.trust.vault import Vault


async def put(database: Database, vault: Vault, tenant_id: UUID, kind: str, *names: str) -> str:
    """Seal a secret per name for a new owner of that kind; return the owner's id."""
    owner_id = uuid4().hex if kind == "endpoint" else str(uuid4())
    async with database.tenant(tenant_id) as con:
        await seal_all(
            con, vault, tenant_id, (kind, owner_id), {n: _value(tenant_id, kind, owner_id, n) for n in names}
        )
    return owner_id


async def read_all(database: Database, vault: Vault) -> dict[str, str]:
    """Open every secret of every tenant; return what it should be and what it is."""
    found: dict[str, str] = {}
    for tenant in await directory(database):
        found |= await read(database, vault, tenant.id)
    return found


async def read(database: Database, vault: Vault, tenant_id: UUID) -> dict[str, str]:
    """Open every secret of the tenant; return what it should be and what it is."""
    async with database.tenant(tenant_id) as con:
        rows = await con.fetch("select owner_kind, owner_id, name, version, sealed from secret")
    secrets = [SealedSecret(**dict(row)) for row in rows]
    await vault.prepare(database, tenant_id, [secret.sealed for secret in secrets])
    return {
        _value(tenant_id, s.owner_kind, s.owner_id, s.name): vault.open(secret_name(tenant_id, s), s.sealed)
        for s in secrets
    }


def _value(tenant_id: UUID, kind: str, owner_id: str, name: str) -> str:
    return f"{tenant_id} {kind} {owner_id} {name}"
