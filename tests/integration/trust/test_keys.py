"""Data keys: made once, changed while everything runs, destroyed for good."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextvars import Context
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.support import factors
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser, run_apart, savepoint, urls_of
from tests.support.dumps import dump, restore
from tests.support.keys import make_vault
from tests.support.sealed import put, read, read_all

from aiops_core import Health, KeyContext, KeyProvider, KeyProviderRefused, KeyProviderUnavailable, WrappedKey
from aiops_host.data import audit
from aiops_host.data import keys as stored
from aiops_host.data.audit import AuditFilters
from aiops_host.data.connections import SealedSecret, newest_secrets, put_secret
from aiops_host.data.keys import INSTALLATION
from aiops_host.data.session import Database
from aiops_host.embedded import EmbeddedPostgres
from aiops_host.trust.handles import SecretReader, seal_all
from aiops_host.trust.keys import ring
from aiops_host.trust.keys.keyfile import read_key_file
from aiops_host.trust.keys.upkeep import Upkeep
from aiops_host.trust.opening import in_use
from aiops_host.trust.vault import SecretName, SecretUnreadable, Vault

ROOT = Path(__file__).parents[3]
KINDS = ("connection", "endpoint", "llm-backend")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """A vault with a key of its own."""
    return make_vault(tmp_path)


@pytest.fixture
async def upkeep(opened: Database, vault: Vault, two_tenants: TwoTenants) -> Upkeep:
    """Both tenants with a connection's two credentials, a webhook secret and a backend's key each."""
    for tenant in two_tenants:
        await put(opened, vault, tenant.tenant_id, "connection", "user", "password")
        await put(opened, vault, tenant.tenant_id, "endpoint", "webhook")
        await put(opened, vault, tenant.tenant_id, "llm-backend", "api_key")
    return Upkeep(opened, vault)


def again(vault_folder: Path) -> Vault:
    """Return a vault as another process has it."""
    return Vault.load(vault_folder / "key")


async def all_open(database: Database, vault: Vault, expected: int = 8) -> bool:
    """Return whether every secret opens."""
    found = await read_all(database, vault)
    return len(found) == expected and all(name == value for name, value in found.items())


async def test_each_tenant_and_purpose_gets_one_data_key(
    opened: Database, vault: Vault, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """However many secrets are first sealed at once, by however many processes, one key per tenant and purpose is made."""
    vaults = [vault, again(tmp_path)]
    tenants = [tenant.tenant_id for tenant in two_tenants]
    await asyncio.gather(*(put(opened, v, t, kind, "n") for v in vaults for t in tenants for kind in KINDS * 2))
    for tenant_id in tenants:
        async with opened.tenant(tenant_id) as con:
            kept = await stored.all_(con)
        assert [(key.purpose, key.version) for key in kept] == [("credentials", 1), ("webhook", 1)]
    assert await all_open(opened, again(tmp_path), 24)


async def test_a_rotated_key_wraps_anew_and_the_old_one_is_forgotten(
    opened: Database, upkeep: Upkeep, tmp_path: Path
) -> None:
    """Everything opens after the rotation, after the rewrap and once the old key is gone from the file."""
    await upkeep.rotate()
    assert await all_open(opened, again(tmp_path))
    assert sum(tenant.outdated for tenant in await upkeep.status()) == 4

    done = await upkeep.rewrap()
    assert (done.rewrapped, done.resealed, done.troubles) == (4, 0, [])
    assert sum(tenant.outdated for tenant in await upkeep.status()) == 0
    assert len(read_key_file(tmp_path / "key").keys) == 2
    assert await upkeep.retire() == 1
    assert len(read_key_file(tmp_path / "key").keys) == 1
    assert await all_open(opened, again(tmp_path))
    assert await all_open(opened, upkeep.vault)


async def test_a_key_in_use_is_not_forgotten(opened: Database, upkeep: Upkeep, tmp_path: Path) -> None:
    """Retiring before the rewrap forgets nothing."""
    await upkeep.rotate()
    assert await upkeep.retire() == 0
    assert await all_open(opened, again(tmp_path))


async def test_a_new_data_key_seals_at_once_and_the_rest_follows(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """After a rotation of data keys new secrets are under the new one; a rewrap moves the others and drops the old ones."""
    tenant_id = two_tenants.a.tenant_id
    before = await read_all(opened, upkeep.vault)
    assert await upkeep.renew_data_keys(tenant_id) == 2
    await put(opened, again(tmp_path), tenant_id, "connection", "later")
    async with opened.tenant(tenant_id) as con:
        versions = await con.fetch("select name, key_version from secret order by key_version, name")
    assert [tuple(row) for row in versions] == [
        ("api_key", 1),
        ("password", 1),
        ("user", 1),
        ("webhook", 1),
        ("later", 2),
    ]

    done = await upkeep.rewrap()
    assert (done.resealed, done.dropped, done.troubles) == (4, 2, [])
    async with opened.tenant(tenant_id) as con:
        assert await con.fetchval("select count(*) from secret where key_version <> 2") == 0
        assert [key.version for key in await stored.all_(con)] == [2, 2]
    assert before.items() <= (await read_all(opened, again(tmp_path))).items()


async def test_what_was_made_from_a_resealed_secret_is_made_anew(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants
) -> None:
    """Connections and settings whose secrets were sealed anew count as changed, so that nobody keeps handles on old seals."""
    tenant_id, connection_id = two_tenants.a.tenant_id, uuid4()
    async with opened.tenant(tenant_id) as con:
        await con.execute(
            "insert into connection (tenant_id, connection_id, name, ticketing_tool) values ($1, $2, 'c', 't')",
            tenant_id,
            connection_id,
        )
        await con.execute(
            "insert into plugin_setting (tenant_id, kind, name) values ($1, 'llm-backend', 'oracle')", tenant_id
        )
        await seal_all(con, upkeep.vault, tenant_id, ("connection", str(connection_id)), {"n": "v"})
        await seal_all(con, upkeep.vault, tenant_id, ("llm-backend", "oracle"), {"n": "v"})
    await upkeep.renew_data_keys()
    await upkeep.rewrap()
    async with opened.tenant(tenant_id) as con:
        assert await con.fetchval("select config_version from connection") == 2
        assert await con.fetchval("select version from plugin_setting") == 2


@pytest.mark.promise("keys-change-online")
async def test_keys_change_while_secrets_are_read_and_written(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """Readers and writers of other processes see no failure while every key is changed three times."""
    changed = asyncio.Event()

    async def use(vault: Vault, tenant_id: UUID) -> int:
        rounds = 0
        while not changed.is_set() or rounds == 0:
            await put(opened, vault, tenant_id, "connection", "n")
            # A seal may be replaced between being read and its key being fetched: then it is read again, as callers do.
            with contextlib.suppress(SecretUnreadable):
                found = await read(opened, vault, tenant_id)
                assert all(name == value for name, value in found.items())
                rounds += 1
        return rounds

    users = [asyncio.create_task(use(again(tmp_path), t.tenant_id)) for t in two_tenants]
    try:
        for _ in range(3):
            await upkeep.rotate()
            await upkeep.renew_data_keys()
            assert (await upkeep.rewrap()).troubles == []
            await upkeep.retire()
    finally:
        changed.set()
    assert all(await asyncio.gather(*users))
    await upkeep.rewrap()
    assert await all_open(opened, again(tmp_path), len(await read_all(opened, upkeep.vault)))
    assert sum(tenant.outdated for tenant in await upkeep.status()) == 0


@pytest.mark.promise("keys-change-online", figure="killed at each of 40 steps")
async def test_a_change_of_keys_killed_at_any_step_loses_nothing(
    database: DatabaseUrls, upkeep: Upkeep, tmp_path: Path
) -> None:
    """Killed with SIGKILL at each step of changing every key, all secrets and second factors open; the next call finishes."""
    for email in factors.EMAILS:
        await factors.enrol(upkeep.database, upkeep.vault, email)
    command = [sys.executable, "-m", "tests.support.killed_keys", database.app, str(tmp_path / "key")]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert json.loads(said) == {"steps": 40}


@pytest.mark.promise("keys-change-online")
async def test_a_key_is_not_dropped_under_who_seals_with_it(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """Sealed before a change of data keys and stored after it, a secret opens; its key goes with the next rewrap."""
    tenant_id, vault = two_tenants.a.tenant_id, again(tmp_path)
    name = SecretName(tenant_id=tenant_id, owner_kind="tool", owner_id="late", name="n", version=1)

    async def change() -> int:
        await upkeep.renew_data_keys(tenant_id)
        return (await upkeep.rewrap()).dropped

    async with opened.tenant(tenant_id) as con:
        sealed = await vault.seal(con, name, "kept")
        # In a context of its own, as somebody else has it: sessions of two tenants do not nest.
        dropped = await asyncio.create_task(change(), context=Context())
        assert dropped == 1  # that of webhook secrets
        await put_secret(
            con, tenant_id, SealedSecret(owner_kind="tool", owner_id="late", name="n", version=1, sealed=sealed)
        )
    done = await upkeep.rewrap()
    assert (done.resealed, done.dropped) == (1, 1)
    async with opened.tenant(tenant_id) as con:
        (kept,) = await newest_secrets(con, "tool", "late")
    await vault.prepare(opened, tenant_id, [kept.sealed])
    assert vault.open(name, kept.sealed) == "kept"


async def test_a_secret_that_does_not_open_is_named_and_left(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants
) -> None:
    """A damaged seal does not stop a change of keys: it is named, its old key stays, and all others move."""
    tenant_id = two_tenants.a.tenant_id
    async with opened.tenant(tenant_id) as con:
        await con.execute(
            "update secret set sealed = set_byte(sealed, 60, get_byte(sealed, 60) # 1) where name = 'user'"
        )
    await upkeep.renew_data_keys()
    done = await upkeep.rewrap()
    assert len(done.troubles) == 1
    assert "'user'" in done.troubles[0]
    assert (done.resealed, done.dropped) == (7, 3)


async def test_a_data_key_in_use_cannot_be_deleted(opened: Database, upkeep: Upkeep, two_tenants: TwoTenants) -> None:
    """PostgreSQL itself keeps the key of every secret, and a secret whose seal names no key is refused."""
    tenant_id = two_tenants.a.tenant_id
    async with opened.tenant(tenant_id) as con:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with savepoint(con):
                await con.execute("delete from data_key")
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with savepoint(con):
                await con.execute("update secret set sealed = set_byte(sealed, 8, 9)")


async def test_a_seal_of_one_purpose_is_not_stored_for_another(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants
) -> None:
    """A webhook secret's seal cannot stand in a connection's row, nor anything that is no seal."""
    tenant_id = two_tenants.a.tenant_id
    async with opened.tenant(tenant_id) as con:
        sealed = await con.fetchval("select sealed from secret where owner_kind = 'endpoint'")
        for wrong in (sealed, b"AO1" + bytes(100), bytes(100)):
            secret = SealedSecret(owner_kind="connection", owner_id="c", name="n", version=1, sealed=wrong)
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                async with savepoint(con):
                    await put_secret(con, tenant_id, secret)


async def test_a_process_unwraps_keys_of_its_purpose_only(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """Handed every seal of a tenant, the host has the webhook key at hand afterwards and the worker the credentials' key."""
    tenant_id = two_tenants.a.tenant_id
    async with opened.tenant(tenant_id) as con:
        seals = [row["sealed"] for row in await con.fetch("select sealed from secret")]
    for purpose in ("webhook", "credentials"):
        vault = again(tmp_path)
        await SecretReader(vault, purpose).prepare(opened, tenant_id, seals)
        assert [name.purpose for name in vault.keys.names()] == [purpose]


async def test_the_host_keeps_no_key_it_only_seals_with(
    opened: Database, vault: Vault, two_tenants: TwoTenants
) -> None:
    """After a credential was sealed its data key is not kept unwrapped."""
    await put(opened, vault, two_tenants.a.tenant_id, "connection", "n")
    assert vault.keys.names() == []


async def test_secrets_of_the_installation_have_keys_of_their_own(
    opened: Database, vault: Vault, tmp_path: Path
) -> None:
    """What belongs to no tenant is sealed under the installation's key and opens in another process."""
    name = SecretName(tenant_id=INSTALLATION, owner_kind="person", owner_id="p", name="totp", version=1)
    async with opened.tenant(INSTALLATION) as con:
        sealed = await vault.seal(con, name, "s3cret")
    await Upkeep(opened, vault).rotate()
    await Upkeep(opened, vault).rewrap()
    await Upkeep(opened, vault).retire()
    other = again(tmp_path)
    await other.prepare(opened, INSTALLATION, [sealed])
    assert other.open(name, sealed) == "s3cret"


# Shredding.


@pytest.fixture
def second_database(pg: EmbeddedPostgres) -> Iterator[DatabaseUrls]:
    """An empty database to play a backup into."""
    name = f"r_{uuid4().hex[:16]}"
    run_apart(execute_as_superuser(pg.superuser_url, f"create database {name}"))
    yield urls_of(pg, name)
    run_apart(execute_as_superuser(pg.superuser_url, f"drop database {name} with (force)"))


@pytest.fixture
async def restored(
    database: DatabaseUrls, second_database: DatabaseUrls, upkeep: Upkeep, tmp_path: Path
) -> AsyncIterator[Database]:
    """Yesterday's backup, with yesterday's key file beside today's, played back after tenant a was shredded."""
    shutil.copy2(tmp_path / "key", tmp_path / "key.yesterday")
    script = await asyncio.to_thread(dump, database.superuser)
    tenant_id = next(t.tenant_id for t in await upkeep.status() if t.slug == "tenant-a")
    assert (await upkeep.shred(tenant_id)).left == ""
    await asyncio.to_thread(restore, second_database.superuser, script)
    backup = await Database.open({"app": second_database.app}, {"app": 4})
    yield backup
    await backup.close()


@pytest.mark.promise("tenant-gone")
@pytest.mark.attack(21)
async def test_a_deleted_tenants_secrets_open_from_no_backup(
    restored: Database, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """With a backup from before and today's key nobody opens a deleted tenant's secrets; other tenants' open."""
    with pytest.raises(SecretUnreadable, match="were destroyed"):
        await read(restored, again(tmp_path), two_tenants.a.tenant_id)
    theirs = await read(restored, again(tmp_path), two_tenants.b.tenant_id)
    assert len(theirs) == 4
    assert all(name == value for name, value in theirs.items())


async def test_what_the_backup_lacks_is_the_key_alone(
    restored: Database, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """The same backup opens with yesterday's copy of the key file: that copy is what has to go as well."""
    found = await read(restored, Vault.load(tmp_path / "key.yesterday"), two_tenants.a.tenant_id)
    assert len(found) == 4
    assert all(name == value for name, value in found.items())


async def test_a_shredded_tenant_has_nothing_left(opened: Database, upkeep: Upkeep, two_tenants: TwoTenants) -> None:
    """Its secrets and data keys are gone, nothing can be sealed for it again, and the other tenant is as before."""
    tenant_id = two_tenants.a.tenant_id
    await upkeep.shred(tenant_id)
    await upkeep.shred(tenant_id)
    async with opened.tenant(tenant_id) as con:
        assert await con.fetchval("select (select count(*) from secret) + (select count(*) from data_key)") == 0
    with pytest.raises(KeyProviderRefused, match="were destroyed"):
        await put(opened, upkeep.vault, tenant_id, "connection", "n")
    assert await all_open(opened, upkeep.vault, 4)
    assert [t.slug for t in await upkeep.status() if t.keys] == ["tenant-b"]


async def test_a_handle_on_a_shredded_secret_closes(opened: Database, upkeep: Upkeep, two_tenants: TwoTenants) -> None:
    """A handle that was made before opens no more in the process that shredded."""
    tenant_id = two_tenants.a.tenant_id
    reader = SecretReader(upkeep.vault, "credentials")
    async with opened.tenant(tenant_id) as con:
        owner = await con.fetchval("select owner_id from secret where name = 'user'")
        (secret, _) = sorted(await newest_secrets(con, "connection", owner), key=lambda s: s.name, reverse=True)
    await reader.prepare(opened, tenant_id, [secret.sealed])
    handle = reader.handle(tenant_id, secret)
    with handle.open() as value:
        assert value.endswith("user")
    await upkeep.shred(tenant_id)
    with pytest.raises(KeyProviderUnavailable), handle.open():
        pass


# A provider that goes away.


class Flaky(KeyProvider):
    """A provider that can be switched off."""

    def __init__(self, inner: KeyProvider) -> None:
        self.inner = inner
        self.away = False
        self.wanted = 0

    def _here(self) -> KeyProvider:
        if self.away:
            raise KeyProviderUnavailable
        return self.inner

    async def wrap(self, key: bytes, context: KeyContext) -> WrappedKey:
        """Wrap unless away."""
        return await self._here().wrap(key, context)

    async def unwrap(self, wrapped: WrappedKey, context: KeyContext) -> bytes:
        """Unwrap unless away."""
        self.wanted += 1
        return await self._here().unwrap(wrapped, context)

    async def current(self, tenant: UUID) -> str:
        """Answer unless away."""
        return await self._here().current(tenant)

    async def rotate(self, tenants: Sequence[UUID]) -> None:
        """Rotate unless away."""
        await self._here().rotate(tenants)

    async def retire(self, in_use: Mapping[UUID, Collection[str]]) -> int:
        """Retire unless away."""
        return await self._here().retire(in_use)

    async def destroy(self, tenant: UUID) -> None:
        """Destroy unless away."""
        await self._here().destroy(tenant)

    async def check_health(self) -> Health:
        """Answer."""
        return await self.inner.check_health()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the keys' own timers run between the looks
            await asyncio.sleep(0.01)


class Clock:
    """Time for data keys, which a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.mark.promise("keys-change-online")
async def test_a_provider_that_is_away_closes_secrets_after_a_while_and_opens_them_when_it_is_back(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data key is used on while its provider is away, not for longer than five minutes, and again when it is back."""
    provider, clock = Flaky(upkeep.vault.keys.provider), Clock()
    vault, tenant_id = Vault(provider, "file"), two_tenants.a.tenant_id
    monkeypatch.setattr(ring, "time", clock)
    for constant in ("RENEW_SECONDS", "TRY_AGAIN_SECONDS"):
        monkeypatch.setattr(ring, constant, 0.01)
    async with opened.tenant(tenant_id) as con:
        row = await con.fetchrow("select owner_kind, owner_id, name, version, sealed from secret where name = 'user'")
    secret = SealedSecret(**dict(row))
    reader = SecretReader(vault, "credentials")
    await asyncio.gather(*(reader.prepare(opened, tenant_id, [secret.sealed]) for _ in range(20)))
    assert provider.wanted == 1, "many at once ask the provider once"
    handle = reader.handle(tenant_id, secret)

    def opens() -> bool:
        try:
            with handle.open() as value:
                return value.endswith("user")
        except KeyProviderUnavailable:
            return False

    async def asked_again() -> None:
        wanted = provider.wanted
        await until(lambda: provider.wanted > wanted + 1)

    for _ in range(3):
        clock.now += 200
        await asked_again()
        assert opens(), "a key that is renewed stays open"
    provider.away = True
    await asked_again()
    clock.now += 299
    assert opens()
    clock.now += 2
    assert not opens()
    with pytest.raises(KeyProviderUnavailable):
        await put(opened, vault, tenant_id, "connection", "n")
    provider.away = False
    await until(opens)


async def test_a_key_first_needed_inside_a_session_is_renewed_when_that_has_ended(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is renewed for as long as it is used, whatever was going on when it was unwrapped first."""
    provider = Flaky(upkeep.vault.keys.provider)
    reader, tenant_id = SecretReader(Vault(provider, "file"), "credentials"), two_tenants.a.tenant_id
    monkeypatch.setattr(ring, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(ring, "TRY_AGAIN_SECONDS", 0.01)
    async with opened.tenant(tenant_id) as con:
        row = await con.fetchrow("select owner_kind, owner_id, name, version, sealed from secret where name = 'user'")
        secret = SealedSecret(**dict(row))
        await reader.prepare(opened, tenant_id, [secret.sealed])
    handle = reader.handle(tenant_id, secret)
    await until(lambda: provider.wanted > 3)
    with handle.open() as value:
        assert value.endswith("user")


async def test_a_key_nobody_uses_is_let_go(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once no handle needs a data key any more it is not renewed and leaves the memory."""
    monkeypatch.setattr(ring, "RENEW_SECONDS", 0.02)
    vault = Vault(upkeep.vault.keys.provider, "file")
    tenant_id = two_tenants.a.tenant_id
    assert len(await read(opened, vault, tenant_id)) == 4
    assert len(vault.keys.names()) == 2
    await until(lambda: vault.keys.names() == [])


async def test_keys_of_another_provider_are_refused_by_name(opened: Database, upkeep: Upkeep) -> None:
    """With another provider configured the refusal names both and how to move; moving works."""
    moved = Vault(upkeep.vault.keys.provider, "elsewhere")
    with pytest.raises(SecretUnreadable, match="aiops keys rewrap --from file"):
        await read_all(opened, moved)
    done = await Upkeep(opened, moved, moved_from=upkeep.vault).rewrap()
    assert (done.rewrapped, done.troubles) == (4, [])
    assert await all_open(opened, moved)
    with pytest.raises(SecretUnreadable, match="'elsewhere'"):
        await read_all(opened, Vault(upkeep.vault.keys.provider, "file"))


@pytest.mark.promise("audit-whole")
async def test_each_decryption_is_in_the_audit_trail(
    opened: Database, upkeep: Upkeep, two_tenants: TwoTenants, tmp_path: Path
) -> None:
    """What a process decrypts is in its tenant's trail when it ends: what, how often and by which part, no value of it."""
    vault, tenant_id = again(tmp_path), two_tenants.a.tenant_id
    async with in_use(vault, opened, "worker"):
        await read(opened, vault, tenant_id)
        await read(opened, vault, tenant_id)
    entries = (await audit.list_(opened, tenant_id, AuditFilters(act="secret.decrypt"), limit=50)).items
    assert sorted((e.details["name"], e.details["times"], e.actor) for e in entries) == [
        (name, "2", "worker") for name in ("api_key", "password", "user", "webhook")
    ]
