"""What a session does when its connection fails, with a pool that fails as told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from aiops_host.data.session import Database, DatabaseBusy, DatabaseDown, current_session

AWAY = (
    ConnectionRefusedError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
TENANT = uuid4()


class Fails:
    """A pool of two connections and its connection in one, which raises what is planned for a statement."""

    def __init__(self, **planned: BaseException) -> None:
        """Plan errors by the first word of a statement, or by ``acquire`` and ``release``."""
        self.planned = planned
        self.done: list[tuple[str, Any]] = []
        self.idle = 0.0

    def _do(self, name: str, detail: Any = None) -> None:
        self.done.append((name, detail))
        if name in self.planned:
            raise self.planned[name]

    async def acquire(self, *, timeout: float) -> Fails:
        """Lend itself."""
        self._do("acquire", timeout)
        return self

    async def release(self, con: Fails) -> None:
        """Take itself back."""
        self._do("release")

    async def execute(self, statement: str, timeout: float | None = None) -> None:
        """Fail or not."""
        self._do(statement.split(";", maxsplit=1)[0].split(maxsplit=1)[0], timeout)

    async def commit_and_reset(self) -> None:
        """Fail or not."""
        self._do("commit")

    async def fetchrow(self, _query: str) -> dict[str, Any]:
        """Be a role without too much right."""
        return {"role": "r", "unbound": False, "owns": False}

    def get_max_size(self) -> int:
        """Return how many there may be."""
        return 2

    def idle_seconds(self) -> float:
        """Return what was said."""
        return self.idle

    def is_closed(self) -> bool:
        """Be open."""
        return False

    def is_in_transaction(self) -> bool:
        """Be in none."""
        return False

    def lend(self) -> None:
        """Note nothing."""

    def touch(self) -> None:
        """Note nothing."""

    def terminate(self) -> None:
        """Note it."""
        self._do("terminate")

    def count(self, name: str) -> int:
        """Return how often something was done."""
        return [done for done, _ in self.done].count(name)


def database(pool: Fails) -> Database:
    """Return a database whose only pool this is."""
    return Database({"app": pool})  # type: ignore[dict-item]


async def use(pool: Fails, work: Callable[[], None] = lambda: None) -> None:
    """Open a session and do the work in it."""
    async with database(pool).tenant(TENANT):
        work()


def fail(error: BaseException) -> Callable[[], None]:
    """Return work that raises."""

    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("error", AWAY)
async def test_every_way_to_be_away_is_one_error_of_ours(error: type[Exception]) -> None:
    """Whatever asyncpg raises when PostgreSQL is away, restarting or full, before a session or inside of it."""
    with pytest.raises(DatabaseDown, match=r"^PostgreSQL cannot be reached: why$"):
        await use(Fails(acquire=error("why")))
    pool = Fails()
    with pytest.raises(DatabaseDown, match=r"^PostgreSQL went away: why$"):
        await use(pool, fail(error("why")))
    assert pool.count("release") == 1


async def test_whoever_finds_no_connection_is_told_after_two_seconds() -> None:
    """A session waits two seconds where nothing else is said, and a full pool is no server that is away."""
    pool = Fails(acquire=TimeoutError())
    with pytest.raises(DatabaseBusy):
        await use(pool)
    assert pool.done == [("acquire", 2.0)]


@pytest.mark.parametrize("error", [*AWAY, TimeoutError])
async def test_idle_connections_that_are_dead_are_thrown_away(error: type[Exception]) -> None:
    """Each that does not answer within two seconds is closed, as many as the pool may hold and one, and then it is told."""
    pool = Fails(select=error("why"))
    pool.idle = 1.0
    with pytest.raises(DatabaseDown, match=r"^PostgreSQL closes every connection.$"):
        await use(pool)
    assert pool.done == [("acquire", 2.0), ("select", 2.0), ("terminate", None), ("release", None)] * 3


@pytest.mark.parametrize("part", ["terminate", "release"])
async def test_a_dead_connection_that_cannot_be_thrown_away_stops_nobody(part: str) -> None:
    """What goes wrong while a dead connection is closed is not the next one's trouble."""
    pool = Fails(select=OSError(), **{part: asyncpg.InterfaceError("gone")})
    pool.idle = 1.0
    with pytest.raises(DatabaseDown, match="closes every connection"):
        await use(pool)
    assert pool.count("acquire") == 3


@pytest.mark.parametrize("error", [asyncpg.PostgresError, asyncpg.InterfaceError, OSError])
@pytest.mark.parametrize("part", ["rollback", "release"])
async def test_what_fails_behind_an_error_does_not_hide_it(part: str, error: type[Exception]) -> None:
    """Whoever's block raised gets that error, though nothing can be rolled back or given back any more."""
    pool = Fails(**{part: error("behind")})
    with pytest.raises(LookupError, match="its own"):
        await use(pool, fail(LookupError("its own")))
    assert (pool.count("rollback"), pool.count("release"), pool.count("commit")) == (1, 1, 0)
    assert current_session() is None


async def test_a_session_that_cannot_begin_sets_no_tenant() -> None:
    """The error is the server's, and no tenant is left in the task."""
    with pytest.raises(asyncpg.DataError, match="bad"):
        await use(Fails(begin=asyncpg.DataError("bad")))
    assert current_session() is None


async def test_pools_are_opened_with_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool opens one connection, as many as it may have when they are needed, and a statement has a minute."""
    made: list[dict[str, Any]] = []

    async def create_pool(url: str, **given: Any) -> Fails:
        made.append({"url": url, **given})
        return Fails()

    monkeypatch.setattr(asyncpg, "create_pool", create_pool)
    await Database.open({"app": "a", "intake": "b"}, {"app": 7, "intake": 3})
    asked = [tuple(one[part] for part in ("url", "min_size", "max_size", "command_timeout")) for one in made]
    assert asked == [("a", 1, 7, 60), ("b", 1, 3, 60)]
