"""The data keys of one process, unwrapped: for as long as somebody uses them, and for five minutes without their provider.

A handle on a secret holds its data key; the ring knows keys only while something holds them, and unwraps each anew
every few minutes, so that a provider that is away, or a tenant that was deleted, closes them in every process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

from aiops_core.errors import KeyProviderRefused, KeyProviderUnavailable
from aiops_core.keys import KeyProvider
from aiops_core.plugins import explain
from aiops_host.data import keys as stored
from aiops_host.data.faults import TRY_AGAIN
from aiops_host.data.keys import Purpose, StoredKey
from aiops_host.data.session import Connection, Database
from aiops_host.trust.keys.envelope import KEY_BYTES
from aiops_host.trust.keys.naming import KeyName, SecretUnreadable

if TYPE_CHECKING:
    from asyncio import Lock

log = logging.getLogger(__name__)

HELD_SECONDS = 300.0
"""A key is used no longer after it was last unwrapped."""
RENEW_SECONDS = 150.0
TRY_AGAIN_SECONDS = 10.0
RENEWALS_AT_A_TIME = 4
"""Each takes a connection of the pool for a moment, and keys loaded together would all be renewed together."""
AT_HAND = 4096
"""Keys held for whoever asked for them and has made no handle yet."""

_AWAY: tuple[type[Exception], ...] = (KeyProviderUnavailable, KeyProviderRefused, *TRY_AGAIN)


class DataKey:
    """One tenant's key for one purpose, open for a while."""

    __slots__ = ("__weakref__", "_key", "_until", "installation", "name")

    def __init__(self, name: KeyName, installation: UUID, key: bytes, *, lasting: bool = False) -> None:
        """Take the unwrapped key; a ``lasting`` one is this process's own and needs no provider."""
        self.name = name
        self.installation = installation
        self._key: bytes | None = key
        self._until = math.inf if lasting else time.monotonic() + HELD_SECONDS

    def renew(self, key: bytes) -> None:
        """Note that the key was unwrapped just now."""
        self._key, self._until = key, time.monotonic() + HELD_SECONDS

    def use(self) -> bytes:
        """Return the key.

        Raises:
            KeyProviderUnavailable: It was last unwrapped too long ago.
        """
        if self._key is None or time.monotonic() >= self._until:
            self._key = None
            raise KeyProviderUnavailable("A data key could not be unwrapped for five minutes; secrets stay closed.")
        return self._key

    @property
    def lapsed(self) -> bool:
        """Whether it can no longer be used."""
        return time.monotonic() >= self._until

    def lapse(self) -> None:
        """Close it now."""
        self._key = None

    def __repr__(self) -> str:
        return f"DataKey({self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DataKey cannot be pickled")


class Keyring:
    """Unwraps data keys and makes the first of each tenant and purpose."""

    def __init__(self, provider: KeyProvider, provider_name: str) -> None:
        """Take who wraps, and its name as it is stored beside each key."""
        self.provider = provider
        self.provider_name = provider_name
        self._live: weakref.WeakValueDictionary[KeyName, DataKey] = weakref.WeakValueDictionary()
        self._at_hand: OrderedDict[KeyName, DataKey] = OrderedDict()
        self._unwrapping: dict[KeyName, Lock] = {}
        self._renewals: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(RENEWALS_AT_A_TIME)
        self._away = False

    def held(self, name: KeyName) -> DataKey | None:
        """Return the key if this process has it unwrapped."""
        return self._live.get(name)

    def put(self, key: DataKey) -> DataKey:
        """Know the key while somebody holds it; return it."""
        self._live[key.name] = key
        return key

    def names(self) -> list[KeyName]:
        """Return which keys this process has unwrapped."""
        return list(self._live)

    async def have(self, database: Database, names: Iterable[KeyName]) -> None:
        """Unwrap the keys that are not at hand.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
            SecretUnreadable: A key is gone, or the provider does not open it.
            DatabaseBusy, DatabaseDown: The keys cannot be read.
        """
        for name in dict.fromkeys(names):
            if self._usable(name) is None:
                async with self._unwrapping.setdefault(name, asyncio.Lock()):
                    if self._usable(name) is None:
                        await self._fetch(database, name)
                self._unwrapping.pop(name, None)

    async def writing(self, con: Connection, tenant_id: UUID, purpose: Purpose) -> DataKey:
        """Return the key new secrets are sealed under, made now if there is none, inside the caller's tenant session.

        Nothing but the caller holds it afterwards.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
            KeyProviderRefused: The tenant's keys were destroyed.
        """
        found = await stored.current(con, purpose)
        if found is None:
            await stored.wait_for_retiring(con)
            await stored.add(con, await self.make(await _first(con, tenant_id, purpose)))
            found = await stored.current(con, purpose)
            assert found is not None  # noqa: S101 - added just now, by us or by who was first
        held = self._usable(_name(found))
        return held or DataKey(_name(found), found.installation_id, await self.unwrap(found))

    async def make(self, place: StoredKey) -> StoredKey:
        """Return a new key for the place, wrapped."""
        wrapped = await self.provider.wrap(secrets.token_bytes(KEY_BYTES), place.context)
        return replace(place, provider=self.provider_name, key_id=wrapped.key_id, wrapped=wrapped.data)

    async def unwrap(self, key: StoredKey) -> bytes:
        """Return the data key.

        Raises:
            KeyProviderUnavailable: The provider does not answer.
            KeyProviderRefused: It does not open this key.
        """
        if key.provider != self.provider_name:
            raise KeyProviderRefused(
                f"Data keys of tenant {key.tenant_id} are wrapped by the key provider {key.provider!r}, and "
                f"{self.provider_name!r} is configured; `aiops keys rewrap --from {key.provider}` moves them."
            )
        return await self.provider.unwrap(key.wrapping, key.context)

    def forget(self, tenant_id: UUID) -> None:
        """Close the tenant's keys in this process at once."""
        for name, key in list(self._live.items()):
            if name.tenant_id == tenant_id:
                key.lapse()
                self._at_hand.pop(name, None)

    def _usable(self, name: KeyName) -> DataKey | None:
        key = self._live.get(name)
        return None if key is None or key.lapsed else key

    async def _fetch(self, database: Database, name: KeyName) -> None:
        key = self._live.get(name)
        found = await _read(database, name)
        if found is None:
            raise SecretUnreadable(
                "A secret's data key is gone: it was sealed anew just now, or has to be given again."
            )
        try:
            value = await self.unwrap(found)
        except KeyProviderRefused as error:
            raise SecretUnreadable(str(error)) from None
        if key is None:
            key = self.put(DataKey(name, found.installation_id, value))
            self._renew_later(database, key, RENEW_SECONDS)
        key.renew(value)
        self._at_hand[name] = key
        if len(self._at_hand) > AT_HAND:
            self._at_hand.popitem(last=False)

    def _renew_later(self, database: Database, key: DataKey, seconds: float) -> None:
        # A timer that knows the key weakly: what nobody uses any more is gone from memory when it rings.
        known, name = weakref.ref(key), key.name

        def ring() -> None:
            self._at_hand.pop(name, None)
            if (key := known()) is not None:
                task = asyncio.ensure_future(self._renew(database, key))
                self._renewals.add(task)
                task.add_done_callback(self._renewals.discard)

        with contextlib.suppress(RuntimeError):  # without a loop the key lapses
            # In a context of its own: whoever needed the key first has long ended when it is renewed.
            asyncio.get_running_loop().call_later(seconds, ring, context=Context())

    async def _renew(self, database: Database, key: DataKey) -> None:
        wait = RENEW_SECONDS
        try:
            async with self._turns:
                found = await _read(database, key.name)
                if found is not None:
                    key.renew(await self.unwrap(found))
            self._away = False
        except _AWAY as error:
            wait = TRY_AGAIN_SECONDS
            if not self._away:
                log.warning("data keys are not renewed, secrets close within minutes: %s", explain(error))
            self._away = True
        self._renew_later(database, key, wait)


async def _read(database: Database, name: KeyName) -> StoredKey | None:
    async with database.tenant(name.tenant_id) as con:
        return await stored.get(con, name.purpose, name.version)


async def _first(con: Connection, tenant_id: UUID, purpose: Purpose) -> StoredKey:
    return StoredKey(
        installation_id=await stored.installation(con),
        tenant_id=tenant_id,
        purpose=purpose,
        version=1,
        provider="",
        key_id="",
        wrapped=b"",
    )


def _name(key: StoredKey) -> KeyName:
    return KeyName(key.tenant_id, key.purpose, key.version)
