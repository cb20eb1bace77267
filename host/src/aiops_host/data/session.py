"""Connections to PostgreSQL: one pool per role, and the session that sets a tenant for one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast
from uuid import UUID

import asyncpg
import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data.engine import ENGINE
from aiops_host.data.together import SameTurn, Together

ACQUIRE_SECONDS = 2.0
IDLE_CHECK_SECONDS = 1.0
Connection: TypeAlias = Any
"""An asyncpg connection on loan from a pool; its stubs know nothing of the pool's proxy."""

ResultT = TypeVar("ResultT")
Work: TypeAlias = Callable[[Connection], Awaitable[ResultT]]
_Queue: TypeAlias = Together[Work[Any], Any] | SameTurn[Work[Any], Any]


class DatabaseBusy(AiopsError):
    """No database connection became free in time."""


class DatabaseDown(AiopsError):
    """PostgreSQL cannot be reached."""


class TenantMismatch(AiopsError):
    """A tenant session was opened inside the session of another tenant."""


class RoleRefused(AiopsError):
    """A database role has rights that would let one tenant see another.

    Host: refuses to start, exit code 2.
    """


UNREACHABLE = (
    OSError,  # a TimeoutError, too
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a query right after a backend was killed meets its half-read farewell
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What asyncpg raises when PostgreSQL is away, restarting or full."""


class _Connection(asyncpg.Connection):
    """Remembers when it was last used, so that only idle connections are checked, and whether it was reset already."""

    __slots__ = ("_clean", "_last_used")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_used = time.monotonic()
        self._clean = False

    def lend(self) -> None:
        self._clean = False

    async def commit_and_reset(self) -> None:
        # One round trip instead of two; what the pool asks for at every release is then done.
        await self.execute(f"commit;\n{self.get_reset_query()}")
        self._clean = True

    async def reset(self, *, timeout: float | None = None) -> None:
        if self._clean and not self.is_in_transaction():
            await self._reset()
        else:
            await super().reset(timeout=timeout)

    def idle_seconds(self) -> float:
        return time.monotonic() - self._last_used

    def touch(self) -> None:
        self._last_used = time.monotonic()


@dataclass(slots=True)
class TenantSession:
    """What Piccolo sees as the current transaction. A task or timer begun inside it sees it still when it has ended."""

    connection: Connection
    tenant_id: UUID
    ended: bool = False


_CURRENT: ContextVar[TenantSession | None] = cast("ContextVar[TenantSession | None]", ENGINE.current_transaction)
"""Piccolo's own variable: it runs a query on the ``connection`` of whatever stands here."""


def current_session() -> TenantSession | None:
    """Return the tenant session open in this task, if any."""
    session = _CURRENT.get()
    return None if session is None or session.ended else session


class Database:
    """The pools of one process. Roles: ``app`` always; ``intake`` and ``sweeper`` where the process needs them."""

    def __init__(self, pools: Mapping[str, asyncpg.Pool], patience: float = ACQUIRE_SECONDS) -> None:
        """Take pools made by :meth:`open`."""
        self._pools = pools
        self._patience = patience
        passed_on = (DatabaseBusy, DatabaseDown)
        self._together: Together[Work[Any], Any] = Together(self._worked, passed_on=passed_on)
        self._reading: SameTurn[Work[Any], Any] = SameTurn(self._worked, passed_on=passed_on)

    @classmethod
    async def open(
        cls, urls: Mapping[str, str], sizes: Mapping[str, int], *, patience: float = ACQUIRE_SECONDS
    ) -> Database:
        """Connect the pools and check their roles.

        Args:
            urls: Database URL per role name.
            sizes: Largest number of connections per role name.
            patience: How many seconds a session may wait for a connection.

        Raises:
            DatabaseDown: PostgreSQL cannot be reached.
            RoleRefused: A role is an owner, a superuser, bypasses RLS, or is a member of such a role.
        """
        pools: dict[str, asyncpg.Pool] = {}
        try:
            for name, url in urls.items():
                pools[name] = await asyncpg.create_pool(
                    url,
                    min_size=1,
                    max_size=sizes[name],
                    connection_class=_Connection,
                    init=_codecs,
                    server_settings={"jit": "off", "application_name": f"aiops-{name}"},
                    command_timeout=60,
                )
                await _check_role(pools[name], name)
        except UNREACHABLE as error:
            await _close(pools)
            raise DatabaseDown(f"PostgreSQL cannot be reached as role {name}: {error}") from None
        except asyncpg.PostgresError as error:
            await _close(pools)
            raise DatabaseDown(f"PostgreSQL refuses the role {name}: {error}") from None
        except RoleRefused:
            await _close(pools)
            raise
        return cls(pools, patience)

    @contextlib.asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """Give a connection inside a transaction whose tenant is ``tenant_id``; commits unless the block raises.

        Joins an open session of the same tenant. Never hold it across a call to a ticketing tool or an LLM.

        Raises:
            TenantMismatch: The session of another tenant is open in this task.
            DatabaseBusy: No connection became free in time.
            DatabaseDown: PostgreSQL is away.
        """
        current = current_session()
        if current is not None:
            if current.tenant_id != tenant_id:
                raise TenantMismatch
            yield current.connection
            return
        async with self._acquired("app") as con:
            token = None
            try:
                await con.execute(_begin(tenant_id))
                token = _CURRENT.set(TenantSession(con, tenant_id))
                yield con
            except BaseException:
                _reset(token)
                with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await asyncio.shield(con.execute("rollback"))
                raise
            _reset(token)
            await con.commit_and_reset()

    async def together(self, tenant_id: UUID, work: Work[ResultT]) -> ResultT:
        """Do some work in a tenant session, in one transaction with what others of the tenant bring meanwhile.

        Args:
            tenant_id: Whose session it is; an open one of this task is joined.
            work: Speaks to the connection it is given and to nothing else. It is done again, alone, when somebody
                else's work in the same transaction failed.

        Returns:
            What ``work`` returned, once it is committed; what it raises is raised here.

        Raises:
            TenantMismatch, DatabaseBusy, DatabaseDown: As :meth:`tenant`.
        """
        return await self._shared(self._together, tenant_id, work)

    async def reading(self, tenant_id: UUID, work: Work[ResultT]) -> ResultT:
        """Read in a tenant session, in one with what else of the tenant is asked for in the same turn of the loop.

        Args:
            tenant_id: Whose session it is; an open one of this task is joined.
            work: As for :meth:`together`; it writes nothing.

        Raises:
            TenantMismatch, DatabaseBusy, DatabaseDown: As :meth:`tenant`.
        """
        return await self._shared(self._reading, tenant_id, work)

    async def _shared(self, queue: _Queue, tenant_id: UUID, work: Work[ResultT]) -> ResultT:
        if current_session() is not None:
            async with self.tenant(tenant_id) as con:
                return await work(con)
        result: ResultT = await queue.add(tenant_id, work)
        return result

    async def _worked(self, tenant_id: UUID, works: Sequence[Work[Any]]) -> list[Any]:
        async with self.tenant(tenant_id) as con:
            return [await work(con) for work in works]

    @contextlib.asynccontextmanager
    async def role(self, name: str) -> AsyncIterator[Connection]:
        """Give a connection of the role's pool with no tenant set, for its functions and granted columns."""
        async with self._acquired(name) as con:
            yield con

    def usage(self) -> tuple[int, int]:
        """Return connections in use and the most there may be, all pools together."""
        busy = sum(p.get_size() - p.get_idle_size() for p in self._pools.values())
        return busy, sum(p.get_max_size() for p in self._pools.values())

    async def close(self) -> None:
        """Close the pools; connections in use get five seconds."""
        await _close(self._pools)

    @contextlib.asynccontextmanager
    async def _acquired(self, name: str) -> AsyncIterator[Connection]:
        pool = self._pools[name]
        con = await _checked_out(pool, self._patience)
        try:
            yield con
        except UNREACHABLE as error:
            raise DatabaseDown(f"PostgreSQL went away: {error}") from error
        finally:
            await _give_back(pool, con)


async def _checked_out(pool: asyncpg.Pool, patience: float) -> Connection:
    """Acquire a connection; one that idled is asked first and replaced if it is dead."""
    for _ in range(pool.get_max_size() + 1):
        try:
            con: Connection = await pool.acquire(timeout=patience)
        except TimeoutError:
            raise DatabaseBusy from None
        except UNREACHABLE as error:
            raise DatabaseDown(f"PostgreSQL cannot be reached: {error}") from None
        con.lend()
        if con.idle_seconds() < IDLE_CHECK_SECONDS:
            return con
        try:
            await con.execute("select 1", timeout=ACQUIRE_SECONDS)
        except UNREACHABLE:
            with contextlib.suppress(*UNREACHABLE):
                con.terminate()
                await pool.release(con)
            continue
        return con
    raise DatabaseDown("PostgreSQL closes every connection.")


async def _give_back(pool: asyncpg.Pool, con: Connection) -> None:
    # A connection that was lost has left the pool by itself, and whatever is asked of it raises. The pool shields the
    # release from a cancel itself; before it nothing waits.
    with contextlib.suppress(asyncpg.PostgresError, *UNREACHABLE):
        if not con.is_closed():
            if con.is_in_transaction():
                con.terminate()
            else:
                con.touch()
        await pool.release(con)


def _begin(tenant_id: UUID) -> str:
    """Return what opens a tenant's transaction in one round trip; a UUID's digits need no quoting."""
    return f"begin; select set_config('app.current_tenant_id', '{UUID(int=tenant_id.int)}', true)"


def _reset(token: Any) -> None:
    if token is not None:
        if (session := _CURRENT.get()) is not None:
            session.ended = True
        _CURRENT.reset(token)


async def _codecs(con: asyncpg.Connection) -> None:
    def encode(value: object) -> str:
        return msgspec.json.encode(value).decode()

    await con.set_type_codec("jsonb", schema="pg_catalog", encoder=encode, decoder=msgspec.json.decode)


async def _check_role(pool: asyncpg.Pool, name: str) -> None:
    row = await pool.fetchrow(
        """
        select current_user::text as role,
               exists(select 1 from pg_roles r where pg_has_role(current_user, r.oid, 'member')
                      and (r.rolsuper or r.rolbypassrls)) as unbound,
               exists(select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm')
                      and pg_has_role(current_user, c.relowner, 'member')) as owns
        """
    )
    assert row is not None  # noqa: S101 - a query without FROM has one row
    if row["unbound"] or row["owns"]:
        why = "is a superuser or bypasses row-level security" if row["unbound"] else "owns tables"
        raise RoleRefused(
            f"The database role {row['role']} ({name}) {why}, directly or as a member. "
            f"Give the {name} URL a role made by `aiops migrate`."
        )


async def _close(pools: Mapping[str, asyncpg.Pool]) -> None:
    for pool in pools.values():
        try:
            await asyncio.wait_for(pool.close(), 5)
        except TimeoutError:
            pool.terminate()
