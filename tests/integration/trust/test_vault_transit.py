"""Keys kept by Vault's Transit engine, by its documented contract."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.support.databases import TwoTenants
from tests.support.egress import LoopbackHttp
from tests.support.keys import make_vault
from tests.support.sealed import put, read, read_all
from tests.support.vault_server import TOKEN, VaultServer

from aiops_core import ConfigInvalid, KeyContext, KeyProviderRefused, KeyProviderUnavailable, load_plugins
from aiops_core.config import load_config
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.keys.upkeep import Upkeep
from aiops_host.trust.opening import KeyKit, open_vault
from aiops_host.trust.vault import KeyRefused, SecretUnreadable, Vault

DATA_KEY = bytes(range(32))
REGISTRY = load_plugins().registry
SPEC = REGISTRY.key_providers["vault-transit"]


@pytest.fixture
def server() -> Iterator[VaultServer]:
    """A Vault with Transit enabled and no key."""
    with VaultServer() as running:
        yield running


@pytest.fixture
def settings(server: VaultServer, tmp_path: Path) -> Settings:
    """The settings of an operator who uses it."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    config = {"address": server.address, "token_file": str(tmp_path / "token")}
    return Settings(key_provider="vault-transit", key_provider_config=json.dumps(config), egress_private="127.0.0.0/8")


@pytest.fixture
def vault(settings: Settings) -> Vault:
    """The vault of these settings."""
    return open_vault(settings, REGISTRY)


@pytest.fixture
async def upkeep(opened: Database, vault: Vault, two_tenants: TwoTenants) -> Upkeep:
    """Both tenants with a credential and a webhook secret each."""
    for tenant in two_tenants:
        await put(opened, vault, tenant.tenant_id, "connection", "user")
        await put(opened, vault, tenant.tenant_id, "endpoint", "webhook")
    return Upkeep(opened, vault)


def place(tenant: UUID | None = None, **changed: object) -> KeyContext:
    """Return the context of a data key."""
    parts = {"installation": UUID(int=7), "tenant": tenant or UUID(int=8), "purpose": "webhook", "version": 1}
    return KeyContext(**{**parts, **changed})  # type: ignore[arg-type]


async def all_open(database: Database, vault: Vault, expected: int = 4) -> bool:
    """Return whether every secret opens."""
    found = await read_all(database, vault)
    return len(found) == expected and all(name == value for name, value in found.items())


async def test_secrets_are_sealed_under_keys_that_vault_wraps(
    opened: Database, upkeep: Upkeep, settings: Settings, server: VaultServer, two_tenants: TwoTenants
) -> None:
    """Each tenant has a Transit key of its own, another process opens what was sealed, and no data key leaves us in clear."""
    names = {f"aiops-{tenant.tenant_id.hex}" for tenant in two_tenants}
    assert set(server.transit.keys) == names
    assert await all_open(opened, open_vault(settings, REGISTRY))
    assert (await upkeep.vault.check()).status == "ok"


async def test_a_rotation_rewraps_and_old_versions_are_trimmed(
    opened: Database, upkeep: Upkeep, settings: Settings, server: VaultServer
) -> None:
    """Everything opens before, after and once Vault has forgotten the versions that wrap nothing any more."""
    await upkeep.rotate()
    assert sum(tenant.outdated for tenant in await upkeep.status()) == 4
    assert await upkeep.retire() == 0
    assert await all_open(opened, open_vault(settings, REGISTRY))
    done = await upkeep.rewrap()
    assert (done.rewrapped, done.troubles) == (4, [])
    assert await upkeep.retire() == 2
    assert {frozenset(key.versions) for key in server.transit.keys.values()} == {frozenset({2})}
    assert sum(tenant.outdated for tenant in await upkeep.status()) == 0
    assert await all_open(opened, open_vault(settings, REGISTRY))


async def test_a_deleted_tenants_transit_key_goes_with_it(
    opened: Database, upkeep: Upkeep, settings: Settings, server: VaultServer, two_tenants: TwoTenants
) -> None:
    """Shredding deletes the tenant's Transit key: rows that are put back from a backup do not open, other tenants' do."""
    gone = two_tenants.a.tenant_id
    async with opened.tenant(gone) as con:
        keys = await con.fetch("select * from data_key")
        secrets = await con.fetch("select owner_kind, owner_id, name, version, sealed from secret")
    assert (await upkeep.shred(gone)).left == ""
    assert (await upkeep.shred(gone)).left == ""
    assert set(server.transit.keys) == {f"aiops-{two_tenants.b.tenant_id.hex}"}
    async with opened.tenant(gone) as con:
        for row in keys:
            await con.execute("insert into data_key values ($1, $2, $3, $4, $5, $6, $7, $8)", *row)
        for row in secrets:
            await con.execute(
                "insert into secret (tenant_id, owner_kind, owner_id, name, version, sealed) "
                "values ($1, $2, $3, $4, $5, $6)",
                gone,
                *row,
            )
    with pytest.raises(SecretUnreadable, match="no such key"):
        await read(opened, open_vault(settings, REGISTRY), gone)
    assert len(await read(opened, open_vault(settings, REGISTRY), two_tenants.b.tenant_id)) == 2


async def test_a_token_that_may_not_delete_leaves_a_sentence(
    upkeep: Upkeep, server: VaultServer, two_tenants: TwoTenants
) -> None:
    """Where the policy forbids deleting, the rows go and whoever deletes is told what is left to do."""
    server.transit.may_delete = False
    assert "permission denied" in (await upkeep.shred(two_tenants.a.tenant_id)).left


async def test_keys_move_from_the_file_to_vault(
    opened: Database, two_tenants: TwoTenants, settings: Settings, server: VaultServer, tmp_path: Path
) -> None:
    """What a key file wraps is taken over by Vault while everything opens, and the file is not needed afterwards."""
    (tmp_path / "keys").mkdir()
    from_file = make_vault(tmp_path / "keys")
    await put(opened, from_file, two_tenants.a.tenant_id, "connection", "user")
    vault = open_vault(settings, REGISTRY)
    with pytest.raises(SecretUnreadable, match="--from file"):
        await read_all(opened, vault)
    done = await Upkeep(opened, vault, moved_from=from_file).rewrap()
    assert (done.rewrapped, done.troubles) == (1, [])
    assert len(server.transit.keys) == 1
    assert await all_open(opened, vault, 1)


@pytest.mark.parametrize(
    "changed",
    [{"purpose": "credentials"}, {"version": 2}, {"installation": UUID(int=6)}],
    ids=["purpose", "version", "installation"],
)
async def test_a_data_key_unwraps_in_its_place_only(vault: Vault, changed: dict[str, object]) -> None:
    """Vault checks what the wrapping is bound to."""
    provider = vault.keys.provider
    wrapped = await provider.wrap(DATA_KEY, place())
    assert await provider.unwrap(wrapped, place()) == DATA_KEY
    with pytest.raises(KeyProviderRefused, match="authentication failed"):
        await provider.unwrap(wrapped, place(**changed))
    other = uuid4()
    await provider.wrap(DATA_KEY, place(other))
    with pytest.raises(KeyProviderRefused, match="authentication failed"):
        await provider.unwrap(wrapped, place(other))


async def test_a_vault_that_is_sealed_or_away_is_told_as_such(
    upkeep: Upkeep, opened: Database, settings: Settings, server: VaultServer, two_tenants: TwoTenants
) -> None:
    """Sealed, or nobody there: nothing is opened or destroyed, and the health says why."""
    server.transit.sealed = True
    vault = open_vault(settings, REGISTRY)
    with pytest.raises(KeyProviderUnavailable, match="Vault is sealed"):
        await read_all(opened, vault)
    with pytest.raises(KeyProviderUnavailable):
        await upkeep.shred(two_tenants.a.tenant_id)
    assert "HTTP 503" in (await vault.check()).detail
    server.transit.sealed = False
    assert await all_open(opened, vault)
    nobody = _provider({"address": "http://127.0.0.1:9", "token": "t"})
    with pytest.raises(KeyProviderUnavailable, match="does not answer"):
        await nobody.current(UUID(int=8))
    assert (await nobody.check_health()).status == "failed"


async def test_the_token_is_read_at_each_call_and_never_shown(
    vault: Vault, settings: Settings, tmp_path: Path, server: VaultServer
) -> None:
    """A token that Vault Agent renews is taken up, a wrong or missing one is explained, and none is in any message."""
    provider = vault.keys.provider
    await provider.wrap(DATA_KEY, place())
    (tmp_path / "token").write_text("hvs.canary-of-a-token")
    with pytest.raises(KeyProviderRefused, match="refuses our token") as refused:
        await provider.wrap(DATA_KEY, place())
    assert "canary" not in str(refused.value) + repr(provider) + (await vault.check()).detail
    for wrong in ("", "two\nlines", "umlaut-\u00e4"):
        (tmp_path / "token").write_text(wrong)
        with pytest.raises(KeyProviderUnavailable, match="empty or not printable"):
            await provider.wrap(DATA_KEY, place())
    (tmp_path / "token").unlink()
    with pytest.raises(KeyProviderUnavailable, match="cannot be read"):
        await provider.wrap(DATA_KEY, place())
    assert await _provider({"address": server.address, "token": TOKEN}).current(UUID(int=8))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("{}", "address: this field is needed"),
        ('{"address": "https://v"}', "token_file or token"),
        ('{"address": "v", "token": "t"}', "address: must begin with"),
        ('{"address": "https://v/path", "token": "t"}', "address"),
        ('{"address": "https://v", "token": "t", "mount": "a b"}', "mount"),
        ("[]", "AIOPS_KEY_PROVIDER_CONFIG"),
        ("hvs.canary", "AIOPS_KEY_PROVIDER_CONFIG"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(config: str, says: str) -> None:
    """What is missing or malformed is named, and no value is shown."""
    with pytest.raises((ConfigInvalid, KeyRefused), match=says) as refused:
        open_vault(Settings(key_provider="vault-transit", key_provider_config=config), REGISTRY)
    assert "canary" not in str(refused.value)


def _provider(config: dict[str, Any]) -> Any:
    return SPEC.factory(load_config(SPEC.config, config), KeyKit(LoopbackHttp()))
