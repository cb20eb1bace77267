"""The built-in key provider: keys in a file that only the service account may read."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from aiops_core.errors import KeyProviderRefused, KeyProviderUnavailable
from aiops_core.keys import KeyContext, KeyProvider, WrappedKey, length_prefixed
from aiops_core.services import KeyServices
from aiops_core.ticketing import Health
from aiops_host.trust.keys.config import FileKeyConfig
from aiops_host.trust.keys.envelope import DoesNotOpen, seal, unseal
from aiops_host.trust.keys.keyfile import FileKey, KeyFile, KeyRefused, change_key_file, named, read_key_file
from aiops_host.trust.keys.tree import Forgotten, Nodes, puncture, tenant_key

PROVIDER = "file"
CREDENTIAL = "aiops-key"


class FileKeyProvider(KeyProvider):
    """Wraps with the newest key of a file; a change of the file is seen at the next call."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            KeyRefused: It is missing, readable by others or no key file.
        """
        self._path = path
        self._seen = _fingerprint(path)
        self._keys = _trees(read_key_file(path))

    async def wrap(self, key: bytes, context: KeyContext) -> WrappedKey:
        """Wrap with the newest key."""
        newest, nodes = self._newest()
        return WrappedKey(newest, seal(_tenant_key(nodes, context.tenant), _bound(newest, context), key))

    async def unwrap(self, wrapped: WrappedKey, context: KeyContext) -> bytes:
        """Unwrap with the key that wrapped it, and no other."""
        nodes = self._read().get(wrapped.key_id)
        if nodes is None:
            raise KeyProviderRefused(
                f"The key {wrapped.key_id} is not in {self._path}: put back the file that holds it, "
                "or give the credentials it sealed again."
            )
        try:
            return unseal(_tenant_key(nodes, context.tenant), _bound(wrapped.key_id, context), wrapped.data)
        except DoesNotOpen:
            raise KeyProviderRefused(
                f"A data key of tenant {context.tenant} does not open with the key {wrapped.key_id}."
            ) from None

    async def current(self, tenant: UUID) -> str:
        """Return the newest key's id."""
        newest, nodes = self._newest()
        _tenant_key(nodes, tenant)
        return newest

    async def rotate(self, tenants: Sequence[UUID]) -> None:
        """Put a new key on top of the file. Tenants that were forgotten stay so: their ids are never used again."""
        self._change(lambda content: msgspec.structs.replace(content, keys=(FileKey.fresh(), *content.keys)))

    async def retire(self, in_use: Mapping[UUID, Collection[str]]) -> int:
        """Take out the keys that wrap nothing any more, the newest aside."""
        needed = {key_id for ids in in_use.values() for key_id in ids}
        before = len(self._read())

        def without(content: KeyFile) -> KeyFile:
            kept = tuple(key for n, key in enumerate(content.keys) if n == 0 or key.id in needed)
            return msgspec.structs.replace(content, keys=kept)

        self._change(without)
        return before - len(self._read())

    async def destroy(self, tenant: UUID) -> None:
        """Puncture every key of the file at the tenant."""

        def without(content: KeyFile) -> KeyFile:
            keys = tuple(
                msgspec.structs.replace(key, nodes=named(puncture(key.tree(), tenant))) for key in content.keys
            )
            return msgspec.structs.replace(content, keys=keys)

        self._change(without)

    async def check_health(self) -> Health:
        """Read the file if it changed."""
        try:
            newest, _ = self._newest()
        except KeyProviderUnavailable as error:
            return Health(status="failed", detail=str(error))
        return Health(status="ok", detail=f"The key file can be read; its newest key is {newest}.")

    def _newest(self) -> tuple[str, Nodes]:
        return next(iter(self._read().items()))

    def _read(self) -> Mapping[str, Nodes]:
        """Return the trees by key, newest first."""
        try:
            seen = _fingerprint(self._path)
            if seen != self._seen:
                self._keys, self._seen = _trees(read_key_file(self._path)), seen
        except KeyRefused as error:
            raise KeyProviderUnavailable(str(error)) from None
        return self._keys

    def _change(self, change: Callable[[KeyFile], KeyFile]) -> None:
        try:
            change_key_file(self._path, change)
        except KeyRefused as error:
            raise KeyProviderRefused(
                f"{error} Run it where the file may be written, as its owner or an administrator."
            ) from None


def open_key_file(config: FileKeyConfig, _services: KeyServices) -> KeyProvider:
    """Make the provider.

    Raises:
        KeyRefused: No file is named, or the one that is cannot be used.
    """
    if config.path:
        return FileKeyProvider(Path(config.path))
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (file := Path(credentials) / CREDENTIAL).exists():
        return FileKeyProvider(file)
    raise KeyRefused(
        f"There is no key. Set AIOPS_KEY_FILE, or give the service the systemd credential {CREDENTIAL}; "
        "`aiops keys init PATH` makes a key. Or run `aiops up`, which brings its own, and then "
        "export AIOPS_ENV_FILE=<its data folder>/aiops.env."
    )


def _trees(content: KeyFile) -> Mapping[str, Nodes]:
    return {key.id: key.tree() for key in content.keys}


def _tenant_key(nodes: Nodes, tenant: UUID) -> bytes:
    try:
        return tenant_key(nodes, tenant)
    except Forgotten:
        raise KeyProviderRefused(f"The keys of tenant {tenant} were destroyed.") from None


def _bound(key_id: str, context: KeyContext) -> bytes:
    return length_prefixed(context.encoded(), key_id.encode())


def _fingerprint(path: Path) -> tuple[int, int, int]:
    try:
        seen = path.stat()
    except OSError:
        return (0, 0, 0)
    return seen.st_mtime_ns, seen.st_ino, seen.st_size
