"""The installation's own data key, which seals people's second factors, is changed like a tenant's."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from tests.support import factors
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser, savepoint
from tests.support.keys import make_vault

from aiops_host.data.keys import INSTALLATION
from aiops_host.data.session import Database
from aiops_host.trust.keys.upkeep import Upkeep
from aiops_host.trust.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a key of its own."""
    return make_vault(tmp_path)


@pytest.fixture
def upkeep(opened: Database, vault: Vault) -> Upkeep:
    """What looks after the keys."""
    return Upkeep(opened, vault)


@pytest.fixture(autouse=True)
async def devices(opened: Database, vault: Vault) -> Sequence[UUID]:
    """Two people with second factors; their ids."""
    return [await factors.enrol(opened, vault, email) for email in factors.EMAILS]


async def shown(upkeep: Upkeep) -> list[tuple[int, str, int]]:
    """Return version, state and number of second factors of each of the installation's data keys."""
    installation = (await upkeep.status())[0]
    return [(row.key.version, row.key.state, row.secrets) for row in installation.keys]


async def all_verify(database: Database, vault: Vault) -> bool:
    """Return whether every second factor takes a code of its device."""
    return all([await factors.verifies(database, vault, email) for email in factors.EMAILS])


@pytest.mark.promise("keys-change-online")
async def test_second_factors_move_to_a_new_data_key_of_the_installation(
    opened: Database, upkeep: Upkeep, tmp_path: Path
) -> None:
    """New data keys are the installation's too: status counts what the old one seals until a rewrap moved it."""
    assert await shown(upkeep) == [(1, "current", 2)]
    await upkeep.rotate()
    assert await upkeep.renew_data_keys() == 1
    assert await shown(upkeep) == [(1, "retiring", 2), (2, "current", 0)]
    assert (await upkeep.status())[0].to_reseal == 2
    assert await all_verify(opened, Vault.load(tmp_path / "key"))

    done = await upkeep.rewrap()
    assert (done.resealed, done.dropped, done.troubles) == (2, 1, [])
    assert await upkeep.retire() == 1
    assert await shown(upkeep) == [(2, "current", 2)]
    assert await all_verify(opened, Vault.load(tmp_path / "key"))
    assert await all_verify(opened, upkeep.vault)


async def test_a_second_factor_that_does_not_open_is_named_and_left(
    opened: Database, upkeep: Upkeep, devices: Sequence[UUID], *, database: DatabaseUrls, tmp_path: Path
) -> None:
    """Its key stays, in PostgreSQL's own keeping too, and all others move."""
    damage = "update second_factor set sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1)"
    await execute_as_superuser(database.superuser, f"{damage} where user_id = '{devices[0]}'")
    await upkeep.renew_data_keys()
    done = await upkeep.rewrap()
    assert (done.resealed, done.dropped) == (1, 0)
    assert str(devices[0]) in done.troubles[0]
    async with opened.tenant(INSTALLATION) as con:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with savepoint(con):
                await con.execute("delete from data_key")
    assert await factors.verifies(opened, Vault.load(tmp_path / "key"), factors.EMAILS[1])


async def test_a_tenants_session_learns_nothing_of_second_factors(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants
) -> None:
    """What a rewrap of the installation reads is empty in a tenant's session."""
    await upkeep.renew_data_keys()
    for tenant_id, expected in ((INSTALLATION, 2), (two_tenants.a.tenant_id, 0)):
        async with opened.tenant(tenant_id) as con:
            assert await con.fetchval("select count(*) from factors_to_reseal()") == expected
            assert await con.fetchval("select count(*) from factors_by_key()") == expected // 2


class Behind(Vault):
    """A vault whose keys are changed between the reading of a seal and the reading of its key."""

    change: Callable[[], Awaitable[object]] | None = None

    async def prepare(self, database: Database, tenant_id: UUID, sealed: Iterable[bytes]) -> None:
        """Change the keys once, then prepare."""
        change, self.change = self.change, None
        if change is not None:
            await change()
        await super().prepare(database, tenant_id, sealed)


async def test_a_code_given_while_its_second_factor_is_sealed_anew_counts(opened: Database, upkeep: Upkeep) -> None:
    """A seal that was read and then replaced, its key dropped, is read again: nobody is turned away by a rewrap."""
    behind = Behind(upkeep.vault.keys.provider, "file")

    async def change() -> None:
        await upkeep.renew_data_keys()
        assert (await upkeep.rewrap()).dropped == 1

    behind.change = change
    assert await all_verify(opened, behind)
