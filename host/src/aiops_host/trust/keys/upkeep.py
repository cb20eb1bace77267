"""Looking after keys while everything runs: new keys, old wrappings and seals made anew, keys destroyed.

Each step is one transaction and each can be repeated, so that whatever ends the work half-way, every secret opens and the
next call goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from aiops_core.errors import KeyProviderRefused
from aiops_host import failpoints
from aiops_host.data import keys as stored
from aiops_host.data.keys import INSTALLATION, KeyCount, StoredKey
from aiops_host.data.session import Database
from aiops_host.data.tenants import directory
from aiops_host.trust.handles import secret_name
from aiops_host.trust.keys.naming import KeyName, SecretUnreadable, key_of
from aiops_host.trust.keys.ring import DataKey
from aiops_host.trust.vault import Vault, open_under, seal_under


@dataclass(slots=True)
class Done:
    """What was done, and what could not be: one sentence each."""

    rewrapped: int = 0
    resealed: int = 0
    dropped: int = 0
    retired: int = 0
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class TenantKeys:
    """A tenant's data keys with how many secrets are under each. ``current`` is the key that would wrap now."""

    tenant_id: UUID
    slug: str
    current: str | None
    keys: Sequence[KeyCount]

    @property
    def outdated(self) -> int:
        """How many data keys a rewrap would wrap anew or drop."""
        return sum(1 for k in self.keys if k.key.key_id != self.current or k.key.state == "retiring")

    @property
    def to_reseal(self) -> int:
        """How many secrets a rewrap would seal anew."""
        return sum(k.secrets for k in self.keys if k.key.state == "retiring")


@dataclass(frozen=True, slots=True)
class Shredded:
    """What became of a deleted tenant's keys. ``left`` says what a person still has to do, empty if nothing."""

    left: str = ""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Looks after the keys of one installation."""

    database: Database
    vault: Vault
    moved_from: Vault | None = None
    """Whose keys are taken over; none: only the vault's own are touched."""

    async def status(self) -> list[TenantKeys]:
        """Return every tenant's data keys, the installation's own first.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
        """
        return [await self._status(tenant_id, slug) for tenant_id, slug in await self._everybody()]

    async def rotate(self) -> None:
        """Have the provider make a new key; data keys are wrapped with it from now on.

        Raises:
            KeyProviderUnavailable: The provider does not answer; repeating it does no harm.
            KeyProviderRefused: It is done elsewhere; the message says where.
        """
        await self.vault.keys.provider.rotate([tenant_id for tenant_id, _ in await self._everybody()])

    async def renew_data_keys(self, only: UUID | None = None) -> int:
        """Give every tenant and the installation new data keys, for all secrets from now on; return how many.

        Args:
            only: The one tenant to give them to.
        """
        renewed = 0
        for tenant_id, _ in await self._everybody():
            if only in (None, tenant_id):
                renewed += await self._renew(tenant_id)
        return renewed

    async def rewrap(self, told: Callable[[str, Done], None] = lambda _slug, _done: None) -> Done:
        """Wrap with the newest key what older ones wrap, seal anew what retiring data keys seal, drop those at zero.

        Args:
            told: Called after each tenant with its slug and what was done so far.

        Raises:
            KeyProviderUnavailable: The provider does not answer; what was done stays done.
        """
        done = Done()
        for tenant_id, slug in await self._everybody():
            try:
                await self._rewrap(tenant_id, done)
                await self._reseal(tenant_id, done)
            except KeyProviderRefused as error:
                done.troubles.append(f"{slug}: {error}")
            told(slug, done)
        return done

    async def retire(self) -> int:
        """Have the provider forget the keys that wrap nothing any more; return how many.

        A backup of the database from before the last rewrap can then be read by nobody.

        Raises:
            KeyProviderUnavailable: The provider does not answer; repeating it does no harm.
            KeyProviderRefused: It is done elsewhere; the message says where.
        """
        async with stored.nobody_wrapping(self.database):
            in_use = {}
            for tenant_id, _ in await self._everybody():
                in_use[tenant_id] = {key.key_id for key in await self._keys(tenant_id)}
            return await self.vault.keys.provider.retire(in_use)

    async def shred(self, tenant_id: UUID) -> Shredded:
        """Make the tenant's secrets unreadable for good, in every backup of the database too, then delete them.

        Processes that have its data keys unwrapped lose them within five minutes.

        Raises:
            KeyProviderUnavailable: The provider does not answer; nothing was deleted, try again.
        """
        left = ""
        try:
            await self.vault.keys.provider.destroy(tenant_id)
        except KeyProviderRefused as error:
            left = str(error)
        failpoints.reached("keys-destroyed")
        async with self.database.tenant(tenant_id) as con:
            await stored.destroy(con)
        self.vault.keys.forget(tenant_id)
        return Shredded(left)

    async def _everybody(self) -> list[tuple[UUID, str]]:
        return [(INSTALLATION, "(installation)"), *((t.id, t.slug) for t in await directory(self.database))]

    async def _status(self, tenant_id: UUID, slug: str) -> TenantKeys:
        async with self.database.tenant(tenant_id) as con:
            counted = await stored.counts(con)
        current = None
        if counted:
            try:
                current = await self.vault.keys.provider.current(tenant_id)
            except KeyProviderRefused:
                current = None
        return TenantKeys(tenant_id=tenant_id, slug=slug, current=current, keys=counted)

    async def _keys(self, tenant_id: UUID) -> list[StoredKey]:
        async with self.database.tenant(tenant_id) as con:
            return await stored.all_(con)

    async def _renew(self, tenant_id: UUID) -> int:
        renewed = 0
        for old in await self._keys(tenant_id):
            if old.state != "current":
                continue
            async with self.database.tenant(tenant_id) as con:
                await stored.wait_for_retiring(con)
                fresh = await self.vault.keys.make(_next(old))
                renewed += await stored.succeed(con, old, fresh)
            failpoints.reached("data-key-renewed")
        return renewed

    async def _rewrap(self, tenant_id: UUID, done: Done) -> None:
        keys = await self._keys(tenant_id)
        current = await self.vault.keys.provider.current(tenant_id) if keys else ""
        for key in keys:
            if (key.provider, key.key_id) == (self.vault.keys.provider_name, current):
                continue
            value = await self._unwrap(key)
            async with self.database.tenant(tenant_id) as con:
                await stored.wait_for_retiring(con)
                wrapped = await self.vault.keys.provider.wrap(value, key.context)
                done.rewrapped += await stored.rewrap(con, key, self.vault.keys.provider_name, wrapped)
                failpoints.reached("key-before-commit")
            failpoints.reached("key-rewrapped")

    async def _unwrap(self, key: StoredKey) -> bytes:
        vault = self.vault
        if self.moved_from is not None and key.provider == self.moved_from.keys.provider_name:
            vault = self.moved_from
        return await vault.keys.unwrap(key)

    async def _reseal(self, tenant_id: UUID, done: Done) -> None:
        async with self.database.tenant(tenant_id) as con:
            found = await stored.under_retiring_keys(con)
        opened: dict[KeyName, DataKey] = {}
        for secret in found:
            name = secret_name(tenant_id, secret)
            try:
                plaintext = open_under(
                    await self._opened(opened, key_of(tenant_id, secret.sealed)), name, secret.sealed
                )
            except SecretUnreadable as error:
                done.troubles.append(str(error))
                continue
            async with self.database.tenant(tenant_id) as con:
                key = await self.vault.keys.writing(con, tenant_id, name.purpose)
                done.resealed += await stored.reseal(con, secret, seal_under(key, name, plaintext))
                failpoints.reached("secret-before-commit")
            failpoints.reached("secret-resealed")
        async with self.database.tenant(tenant_id) as con:
            done.dropped += await stored.drop_retired(con)
        failpoints.reached("keys-dropped")

    async def _opened(self, opened: dict[KeyName, DataKey], name: KeyName) -> DataKey:
        if name not in opened:
            async with self.database.tenant(name.tenant_id) as con:
                key = await stored.get(con, name.purpose, name.version)
            if key is None:
                raise SecretUnreadable("Its data key was dropped meanwhile.")
            opened[name] = DataKey(name, key.installation_id, await self._unwrap(key), lasting=True)
        return opened[name]


def _next(old: StoredKey) -> StoredKey:
    return replace(old, version=old.version + 1, state="current")
