"""Wake-ups through a real Redis: ids only, nothing executed, every loss survived."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis

from aiops_host.embedded import EmbeddedRedis
from aiops_host.work.queue import QUEUE, ArqWaker, WakeListener

WAIT = 15.0


class Bomb:
    """A pickle that touches a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, (f"open({str(self.path)!r}, 'w')",)


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[asyncio.Queue[tuple[UUID, UUID]]]:
    """Run a listener and give what it was woken for."""
    woken: asyncio.Queue[tuple[UUID, UUID]] = asyncio.Queue()

    async def handler(tenant_id: UUID, delivery_id: UUID) -> None:
        woken.put_nowait((tenant_id, delivery_id))

    listener = WakeListener(url, handler, slots=4)
    task = asyncio.create_task(listener.run())
    try:
        yield woken
    finally:
        listener.stop()
        await asyncio.wait_for(task, WAIT)


@pytest.fixture
async def clean_redis(redis_url: str) -> str:
    """An empty Redis."""
    client = Redis.from_url(redis_url)
    await client.flushall()
    await client.aclose()
    return redis_url


async def test_a_wake_up_arrives(clean_redis: str) -> None:
    """What is woken in one process is heard in another, with both ids."""
    waker = ArqWaker(clean_redis)
    ids = uuid4(), uuid4()
    async with listening(clean_redis) as woken:
        await waker.wake([ids])

        assert await asyncio.wait_for(woken.get(), WAIT) == ids
    await waker.aclose()


async def test_a_burst_wakes_for_every_few_deliveries(clean_redis: str) -> None:
    """Twenty deliveries of one tenant make three wake-ups, one of another tenant makes its own."""
    waker, tenant, other = ArqWaker(clean_redis), uuid4(), uuid4()
    due = [(tenant, uuid4()) for _ in range(20)] + [(other, uuid4())]
    await waker.wake(due)
    async with listening(clean_redis) as woken:
        heard = {await asyncio.wait_for(woken.get(), WAIT) for _ in range(4)}
    await waker.aclose()
    assert heard == {due[0], due[8], due[16], due[20]}


@pytest.mark.attack(21)
async def test_redis_holds_nothing_but_ids(clean_redis: str) -> None:
    """A queued wake-up carries the two ids and no other content."""
    waker = ArqWaker(clean_redis)
    tenant, delivery = uuid4(), uuid4()
    await waker.wake([(tenant, delivery)])

    client = Redis.from_url(clean_redis)
    jobs = [await client.get(key) for key in await client.keys("arq:job:*")]
    await client.aclose()
    await waker.aclose()

    assert len(jobs) == 1
    text = jobs[0].decode()
    assert str(tenant) in text
    assert str(delivery) in text
    assert len(text) < 250


@pytest.mark.parametrize("what", ["pickle", "junk", "other arguments", "no ids"])
@pytest.mark.attack(29)
async def test_a_poisoned_queue_runs_no_code(clean_redis: str, tmp_path: Path, what: str) -> None:
    """A pickle or junk in the queue is dropped, executes nothing, and the next wake-up is heard."""
    mark = tmp_path / "executed"
    waker = ArqWaker(clean_redis)
    pool: ArqRedis = await waker._connected()
    if what == "no ids":
        await pool.enqueue_job("work", "not an id", ["x"], _queue_name=QUEUE)
    elif what == "other arguments":
        await pool.enqueue_job("work", _queue_name=QUEUE)
    else:
        content = pickle.dumps(Bomb(mark)) if what == "pickle" else b"\xff\x00{"
        await pool.set("arq:job:evil", content)
        await pool.zadd(QUEUE, {"evil": 1})
    ids = uuid4(), uuid4()
    async with listening(clean_redis) as woken:
        await waker.wake([ids])

        assert await asyncio.wait_for(woken.get(), WAIT) == ids
    await waker.aclose()
    assert not mark.exists()


async def test_a_lost_redis_is_found_again() -> None:
    """When Redis dies and comes back at the same address, listener and waker go on."""
    first = EmbeddedRedis.start()
    if first is None:
        pytest.skip("needs the system package redis-server")
    waker = ArqWaker(first.url)
    async with listening(first.url) as woken:
        await waker.wake([(uuid4(), uuid4())])
        await asyncio.wait_for(woken.get(), WAIT)
        await asyncio.to_thread(first.stop)
        assert not await waker.ping()
        await asyncio.sleep(0.2)
        assert woken.empty()
    with suppress(OSError):
        await waker.aclose()


async def test_the_waker_recovers_with_redis(clean_redis: str) -> None:
    """A waker whose connections were all closed under it enqueues again."""
    waker = ArqWaker(clean_redis)
    assert await waker.ping()
    client = Redis.from_url(clean_redis)
    await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await client.aclose()

    for _ in range(2):
        if await waker.ping():
            break
    await waker.wake([(uuid4(), uuid4())])

    client = Redis.from_url(clean_redis)
    assert await client.zcard(QUEUE) == 1
    await client.aclose()
    await waker.aclose()
