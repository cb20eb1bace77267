"""What a session does when its connection fails, with a pool that fails as told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from aiops_host.data.session import (
    Database,
    DatabaseBusy,
    DatabaseDown,
    RoleRefused,
    TenantMismatch,
    current_session,
)

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
        self.closed = self.in_transaction = False
        self.role = {"role": "r", "unbound": False, "owns": False}

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
        """Be a role, without too much right where nothing else is said."""
        return self.role

    async def close(self) -> None:
        """Close or not."""
        self._do("close")

    def get_size(self) -> int:
        """Return how many there are."""
        return 2

    def get_idle_size(self) -> int:
        """Return how many are free."""
        return 1

    def get_max_size(self) -> int:
        """Return how many there may be."""
        return 2

    def idle_seconds(self) -> float:
        """Return what was said."""
        return self.idle

    def is_closed(self) -> bool:
        """Be open where nothing else is said."""
        return self.closed

    def is_in_transaction(self) -> bool:
        """Be in none where nothing else is said."""
        return self.in_transaction

    def lend(self) -> None:
        """Note it."""
        self._do("lend")

    def touch(self) -> None:
        """Note it."""
        self._do("touch")

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
    with pytest.raises(DatabaseBusy):
        async with Database({"app": pool}, patience=0.5).role("app"):  # type: ignore[dict-item]
            pass
    assert pool.done[1:] == [("acquire", 0.5)]


@pytest.mark.parametrize("error", [*AWAY, TimeoutError])
async def test_idle_connections_that_are_dead_are_thrown_away(error: type[Exception]) -> None:
    """Each that does not answer within two seconds is closed, as many as the pool may hold and one, and then it is told."""
    pool = Fails(select=error("why"))
    pool.idle = 1.0
    with pytest.raises(DatabaseDown, match=r"^PostgreSQL closes every connection.$"):
        await use(pool)
    once = [("acquire", 2.0), ("lend", None), ("select", 2.0), ("terminate", None), ("release", None)]
    assert pool.done == once * 3


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


async def test_a_session_begins_ends_and_gives_back() -> None:
    """In this order, with the tenant known inside only; one that idled for a second is asked before."""
    for idle, asked in ((0.999, []), (1.0, [("select", 2.0)])):
        pool = Fails()
        pool.idle = idle
        async with database(pool).tenant(TENANT) as con:
            assert con is pool
            current = current_session()
            assert current is not None
            assert (current.connection, current.tenant_id) == (pool, TENANT)
        assert current_session() is None
        lent = [("acquire", 2.0), ("lend", None), *asked]
        assert pool.done == [*lent, ("begin", None), ("commit", None), ("touch", None), ("release", None)]


async def test_a_session_inside_a_session_joins_it_or_is_refused() -> None:
    """Of the same tenant it is the same connection; of another one it is an error, and the outer one goes on."""
    pool = Fails()
    whole = database(pool)
    async with whole.tenant(TENANT) as outer:
        async with whole.tenant(TENANT) as inner:
            assert inner is outer
        with pytest.raises(TenantMismatch, match=r"^A tenant session was opened inside the session of another tenant"):
            async with whole.tenant(uuid4()):
                pass
    assert [pool.count(part) for part in ("acquire", "begin", "commit", "release")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("closed", "in_transaction", "done"), [(True, True, []), (False, True, ["terminate"]), (False, False, ["touch"])]
)
async def test_what_is_given_back_is_open_and_in_no_transaction(
    closed: bool, in_transaction: bool, done: list[str]
) -> None:
    """A connection that was lost is left alone, one inside a transaction is closed, and the time is noted otherwise."""
    pool = Fails()
    async with database(pool).role("app") as con:
        assert con is pool
        pool.closed, pool.in_transaction = closed, in_transaction
    assert [name for name, _ in pool.done] == ["acquire", "lend", *done, "release"]


def opens(monkeypatch: pytest.MonkeyPatch, *pools: Fails | BaseException) -> list[dict[str, Any]]:
    """Have these pools opened one after the other; return what is asked for."""
    asked: list[dict[str, Any]] = []

    async def create_pool(url: str, **given: Any) -> Fails:
        asked.append({"url": url, **given})
        made = pools[len(asked) - 1]
        if isinstance(made, BaseException):
            raise made
        return made

    monkeypatch.setattr(asyncpg, "create_pool", create_pool)
    return asked


async def test_pools_are_opened_with_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool opens one connection, as many as it may have when they are needed, and a statement has a minute."""
    asked = opens(monkeypatch, Fails(), Fails())
    made = await Database.open({"app": "a", "intake": "b"}, {"app": 7, "intake": 3})
    parts = ("url", "min_size", "max_size", "command_timeout", "server_settings")
    assert [[one[part] for part in parts] for one in asked] == [
        ["a", 1, 7, 60, {"jit": "off", "application_name": "aiops-app"}],
        ["b", 1, 3, 60, {"jit": "off", "application_name": "aiops-intake"}],
    ]
    assert made.usage() == (2, 4)


@pytest.mark.attack(3)
@pytest.mark.parametrize(
    ("role", "why"),
    [
        ({"unbound": True, "owns": False}, "is a superuser or bypasses row-level security"),
        ({"unbound": True, "owns": True}, "is a superuser or bypasses row-level security"),
        ({"unbound": False, "owns": True}, "owns tables"),
    ],
)
async def test_no_pool_stays_open_behind_a_role_with_too_much_right(
    monkeypatch: pytest.MonkeyPatch, role: dict[str, Any], why: str
) -> None:
    """The refusal names the role, what is wrong with it and which address to change; all pools are closed."""
    good, bad = Fails(), Fails()
    bad.role = {"role": "mighty", **role}
    opens(monkeypatch, good, bad)
    with pytest.raises(RoleRefused) as refused:
        await Database.open({"app": "a", "intake": "b"}, {"app": 1, "intake": 1})
    assert str(refused.value) == (
        f"The database role mighty (intake) {why}, directly or as a member. "
        "Give the intake URL a role made by `aiops migrate`."
    )
    assert (good.count("close"), bad.count("close")) == (1, 1)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        *((error("why"), "PostgreSQL cannot be reached as role intake: why") for error in AWAY),
        (asyncpg.InvalidPasswordError("why"), "PostgreSQL refuses the role intake: why"),
    ],
)
async def test_no_pool_stays_open_when_the_next_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    """The error names the role whose pool it was, and those before it are closed."""
    good = Fails()
    opens(monkeypatch, good, error)
    with pytest.raises(DatabaseDown) as down:
        await Database.open({"app": "a", "intake": "b"}, {"app": 1, "intake": 1})
    assert str(down.value) == says
    assert good.count("close") == 1


async def test_pools_that_do_not_close_in_time_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has five seconds for what is in use; the next is closed all the same."""
    slow, quick, patience = Fails(close=TimeoutError()), Fails(), []

    async def wait_for(work: Awaitable[None], seconds: float) -> None:
        patience.append(seconds)
        await work

    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    await Database({"app": slow, "intake": quick}).close()  # type: ignore[dict-item]
    assert patience == [5, 5]
    assert [(pool.count("close"), pool.count("terminate")) for pool in (slow, quick)] == [(1, 1), (1, 0)]
