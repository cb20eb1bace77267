"""The key file: the installation's keys, newest first, and what each has forgotten."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from aiops_core.errors import AiopsError
from aiops_host import failpoints
from aiops_host.trust.keys.envelope import KEY_BYTES
from aiops_host.trust.keys.tree import ROOT, Node


class KeyRefused(AiopsError):
    """The key file cannot be used.

    Host: refuses to start, exit code 2.
    """


class FileKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key: the nodes of its tree by ``depth:prefix``, the prefix in hexadecimal digits."""

    id: str
    made: datetime
    nodes: dict[str, bytes]

    def __repr__(self) -> str:
        return f"FileKey(id={self.id!r}, made={self.made!r})"

    @classmethod
    def fresh(cls) -> FileKey:
        """Return a new key."""
        value = secrets.token_bytes(KEY_BYTES)
        return cls(id=f"f-{secrets.token_hex(6)}", made=datetime.now(UTC), nodes=named({ROOT: value}))

    def tree(self) -> dict[Node, bytes]:
        """Return the nodes by their places."""
        parts = ((name.partition(":"), value) for name, value in self.nodes.items())
        return {(int(depth), int(prefix, 16)): value for (depth, _, prefix), value in parts}


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file holds."""

    format: Literal[1]
    keys: tuple[FileKey, ...]


def named(nodes: dict[Node, bytes]) -> dict[str, bytes]:
    """Return nodes as the file spells them."""
    return {f"{depth}:{prefix:x}": value for (depth, prefix), value in nodes.items()}


def read_key_file(path: Path) -> KeyFile:
    """Return what the file holds.

    Raises:
        KeyRefused: It is missing, readable by others or no key file.
    """
    try:
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise KeyRefused(f"AIOPS_KEY_FILE {path}: {error.strerror}. Make one with `aiops keys init {path}`.") from None
    if mode & _open_to_others(path):
        raise KeyRefused(f"AIOPS_KEY_FILE {path} can be read by others; run `chmod 600 {path}`.")
    try:
        found = msgspec.json.decode(text, type=KeyFile)
        sound = all(len(value) == KEY_BYTES for key in found.keys for value in key.tree().values())
    except ValueError:
        sound = False
    if not sound or not found.keys:
        raise KeyRefused(f"AIOPS_KEY_FILE {path} does not hold a key made by `aiops keys init`.")
    return found


def create_key_file(path: str | Path) -> None:
    """Write a new key, readable by its owner only.

    Raises:
        KeyRefused: The file exists: overwriting it would lose every sealed secret.
    """
    file = Path(path)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyRefused(f"{file} exists; a key is never overwritten.") from None
    except OSError as error:
        raise KeyRefused(f"{file}: {error.strerror}") from None
    _write(descriptor, KeyFile(format=1, keys=(FileKey.fresh(),)))


def change_key_file(path: Path, change: Callable[[KeyFile], KeyFile]) -> KeyFile:
    """Replace the file by what ``change`` makes of it, whole or not at all; one process at a time.

    Raises:
        KeyRefused: The file or its folder cannot be written; nothing has changed.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        with _locked(path.parent):
            before = read_key_file(path)
            after = change(before)
            if after == before:
                return after
            owner = path.stat()
            _write(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), after)
            if os.geteuid() == 0:  # changed by an administrator, read by the service
                os.chown(fresh, owner.st_uid, owner.st_gid)
            failpoints.reached("key-file-written")
            fresh.replace(path)
            _flush_folder(path.parent)
    except OSError as error:
        raise KeyRefused(f"{path} cannot be changed here: {error.strerror}.") from None
    return after


def _open_to_others(path: Path) -> int:
    """Return the mode bits that must not be set; systemd lets a service read its credentials by an access list."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    listed = bool(credentials) and path.resolve().is_relative_to(Path(credentials or "").resolve())
    return stat.S_IRWXO | (stat.S_IWGRP if listed else stat.S_IRWXG)


def _write(descriptor: int, content: KeyFile) -> None:
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
        handle.flush()
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder, which the kernel lets go however this process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
