"""PostgreSQL's failures by what a caller can do about them, for parts that hold no SQL."""

from __future__ import annotations

import asyncpg

from aiops_host.data.session import UNREACHABLE, DatabaseBusy, DatabaseDown

TRY_AGAIN: tuple[type[Exception], ...] = (
    DatabaseBusy,
    DatabaseDown,
    *UNREACHABLE,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.PostgresIOError,
)
"""PostgreSQL is away, full, restarting or in the way of itself: nothing was committed that the caller may rely on."""

UNSTORABLE: tuple[type[Exception], ...] = (asyncpg.DataError,)
"""A value PostgreSQL cannot hold, such as a text with a NUL in it."""
