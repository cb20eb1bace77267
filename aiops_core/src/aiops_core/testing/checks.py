"""What several contracts check: values of the declared type, aware times, no I/O, bounded waiting."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import pytest

StructT = TypeVar("StructT", bound=msgspec.Struct)
ResultT = TypeVar("ResultT")

PATIENCE = 60.0
"""Seconds after which a call that should have ended by itself counts as hanging."""

_IO_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "sqlite3.connect")
_watched = threading.local()
_WRONG_VALUES: tuple[Any, ...] = (None, True, -1, 10**30, 1.5, "", "\x00", "x" * 5000, [], [[]], {}, {"id": {}})


def assert_typed(value: StructT, expected: type[StructT]) -> None:
    """Assert that a Struct holds what its fields declare; constructors do not check."""
    assert type(value) is expected
    assert msgspec.convert(msgspec.to_builtins(value), expected) is not None
    assert_aware(value)


def assert_aware(value: object) -> None:
    """Assert that every time in a Struct is timezone-aware."""
    if isinstance(value, datetime):
        assert value.tzinfo is not None, f"{value!r} has no timezone"
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            assert_aware(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            assert_aware(item)


@contextmanager
def no_io() -> Iterator[None]:
    """Fail the test when this thread opens a connection or starts a process inside the block."""
    seen: list[str] = []
    _install_audit_hook()
    _watched.seen = seen
    try:
        yield
    finally:
        _watched.seen = None
    assert not seen, f"a synchronous method did I/O: {', '.join(seen)}"


async def within_patience(awaitable: Awaitable[ResultT], what: str) -> ResultT:
    """Await; fail the test when ``what`` has not ended by itself after ``PATIENCE`` seconds."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await awaitable
    except TimeoutError:
        pytest.fail(f"{what} did not end by itself")


def mutated_bodies(body: bytes, *, seed: int, count: int = 400) -> Iterator[bytes]:
    """Yield damaged versions of a body: bytes changed, cut and repeated, JSON values of other kinds."""
    chance = random.Random(seed)  # noqa: S311 - the same damage on every run
    for _ in range(count):
        yield _damaged(bytearray(body), chance)
    yield from _with_wrong_values(body)


def _damaged(body: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body) + 1)
        match chance.randrange(4):
            case 0:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del body[at : at + chance.randint(1, 40)]
            case 2:
                body[at:at] = body[: chance.randint(1, 40)]
            case _:
                body[at:at] = chance.choice([b'"', b"{", b"]", b"\x00", b"\xff\xfe", b"\\ud800", b"NaN", b"1e999"])
    return bytes(body)


def _with_wrong_values(body: bytes) -> Iterator[bytes]:
    try:
        document = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return
    for path in list(_paths(document)):
        for wrong in _WRONG_VALUES:
            yield msgspec.json.encode(_replaced(document, path, wrong))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


def _replaced(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    if not path:
        return wrong
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[path[0]] = _replaced(copy[path[0]], path[1:], wrong)
    return copy


def _install_audit_hook() -> None:
    if not getattr(_install_audit_hook, "done", False):
        sys.addaudithook(_audit)
        _install_audit_hook.done = True  # type: ignore[attr-defined]


def _audit(event: str, _arguments: tuple[object, ...]) -> None:
    seen = getattr(_watched, "seen", None)
    if seen is not None and event in _IO_EVENTS:
        seen.append(event)
