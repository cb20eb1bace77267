"""Wake-ups through arq: ids only, never the only copy of anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import job_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from arq.worker import Worker, func
from redis.exceptions import RedisError

from aiops_host.data.wakeup import DueIds

log = logging.getLogger(__name__)

QUEUE = "aiops:wake"
JOB = "work"
JOB_TIMEOUT = 150
POLL_SECONDS = 0.05
PER_WAKE_UP = 8
EXPIRES_MS = 3_600_000
"""A wake-up that waited for an hour is of no use: its delivery was found by looking."""
REDIS_DOWN = (RedisError, OSError, TimeoutError)

Handler = Callable[[UUID, UUID], Awaitable[None]]


def encode(value: dict[str, Any]) -> bytes:
    """Serialise a job as JSON, never as a pickle."""
    return msgspec.json.encode(value, enc_hook=str)


def decode(data: bytes) -> dict[str, Any]:
    """Read a job; anything but JSON is refused by arq as undecodable."""
    return msgspec.json.decode(data, type=dict[str, Any])


def redis_settings(url: str) -> RedisSettings:
    """Return arq's settings for the URL, without retries of its own."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 0
    settings.conn_timeout = 1
    return settings


class ArqWaker:
    """Wakes a worker; connects when first used and again after a failure."""

    def __init__(self, url: str) -> None:
        """Take the Redis URL."""
        self._url = url
        self._pool: ArqRedis | None = None
        self._lock = asyncio.Lock()

    async def wake(self, due: Sequence[DueIds]) -> None:
        """Enqueue a wake-up for every few deliveries of a tenant, all in one round trip.

        Whoever is woken takes up what is due, so that more wake-ups would only cost: each takes arq four round trips,
        and its own call to enqueue one ten times what this takes.

        Raises:
            RedisError, OSError: Redis is away; the worker finds the deliveries by itself.
        """
        now = timestamp_ms()
        jobs = {uuid4().hex: (str(delivery_id), str(tenant_id)) for tenant_id, delivery_id in _every_few(due)}
        pool = await self._connected()
        async with pool.pipeline(transaction=True) as pipe:
            for job_id, ids in jobs.items():
                pipe.psetex(
                    job_key_prefix + job_id, EXPIRES_MS, serialize_job(JOB, ids, {}, None, now, serializer=encode)
                )
            pipe.zadd(QUEUE, dict.fromkeys(jobs, now))
            await pipe.execute()

    async def ping(self) -> bool:
        """Return whether Redis answers."""
        try:
            return bool(await (await self._connected()).ping())
        except REDIS_DOWN:
            return False

    async def aclose(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await _close(self._pool)

    async def _connected(self) -> ArqRedis:
        async with self._lock:
            if self._pool is None:
                self._pool = await create_pool(
                    redis_settings(self._url), job_serializer=encode, job_deserializer=decode, default_queue_name=QUEUE
                )
            return self._pool


class WakeListener:
    """Runs arq's worker and makes a new one whenever Redis was away."""

    def __init__(self, url: str, handler: Handler, *, slots: int) -> None:
        """Take the Redis URL, what to do with a wake-up and how many may run at a time."""
        self._url = url
        self._handler = handler
        self._slots = slots
        self._worker: Worker | None = None
        self._stopping = False
        self.connected = False

    async def run(self) -> None:
        """Listen until :meth:`stop`; survives every loss of Redis."""
        delay = POLL_SECONDS
        while not self._stopping:
            started = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except REDIS_DOWN as error:
                if self.connected:
                    log.warning("Redis is away, polling PostgreSQL: %s", error)
            self.connected = False
            if asyncio.get_running_loop().time() - started > 1:
                delay = POLL_SECONDS
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)

    def stop(self) -> None:
        """Take no more wake-ups; running ones go on."""
        self._stopping = True
        if self._worker is not None:
            self._worker.allow_pick_jobs = False
            if self._worker.main_task is not None:
                self._worker.main_task.cancel()

    async def _listen(self) -> None:
        pool = await create_pool(
            redis_settings(self._url), job_serializer=encode, job_deserializer=decode, default_queue_name=QUEUE
        )
        self.connected = True
        worker = Worker(
            [func(self._work, name=JOB)],  # type: ignore[arg-type]
            queue_name=QUEUE,
            redis_pool=pool,
            handle_signals=False,
            max_jobs=self._slots,
            queue_read_limit=max(5 * self._slots, 1000),
            job_timeout=JOB_TIMEOUT,
            keep_result=0,
            max_tries=1,
            retry_jobs=False,
            poll_delay=POLL_SECONDS,
            health_check_interval=10,
            job_serializer=encode,
            job_deserializer=decode,
            log_results=False,
        )
        self._worker = worker
        try:
            await worker.async_run()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            # Not worker.close(), which cancels what runs and calls what redis has deprecated.
            await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
            await _close(pool)

    async def _work(self, _ctx: dict[Any, Any], delivery_id: str, tenant_id: str) -> None:
        try:
            ids = UUID(tenant_id), UUID(delivery_id)
        except (ValueError, AttributeError, TypeError):
            log.warning("dropped a wake-up that carries no ids")
            return
        await self._handler(*ids)


async def _close(pool: ArqRedis) -> None:
    with contextlib.suppress(*REDIS_DOWN):
        async with asyncio.timeout(1):
            await pool.aclose(close_connection_pool=True)


def _every_few(due: Sequence[DueIds]) -> Iterator[DueIds]:
    """Give the first of every ``PER_WAKE_UP`` deliveries of each tenant."""
    seen: Counter[UUID] = Counter()
    for tenant_id, delivery_id in due:
        if seen[tenant_id] % PER_WAKE_UP == 0:
            yield tenant_id, delivery_id
        seen[tenant_id] += 1
