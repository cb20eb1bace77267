"""What goes wrong, and when: seeded schedules, so that a bad run can be repeated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
from benchmarks.faults.world import World
from redis.asyncio import Redis

Blow = Callable[[World, random.Random], Awaitable[None]]


async def kill_worker(world: World, rng: random.Random) -> None:
    """SIGKILL one worker."""
    rng.choice(world.workers).kill()


async def kill_host(world: World, _rng: random.Random) -> None:
    """SIGKILL the host."""
    world.host.kill()


async def flush_redis(world: World, _rng: random.Random) -> None:
    """Forget every wake-up."""
    if world.redis is not None:
        client = Redis.from_url(world.redis.url)
        await client.flushall()
        await client.aclose()


async def restart_redis(world: World, _rng: random.Random) -> None:
    """Stop Redis, and start it again a second later with nothing in it."""
    if world.redis is not None:
        await asyncio.to_thread(world.redis.stop)
        await asyncio.sleep(1)
        await asyncio.to_thread(world.redis.start)


async def kill_backends(world: World, rng: random.Random) -> None:
    """Terminate some of the product's database sessions."""
    con = await asyncpg.connect(world.postgres.superuser_url)
    try:
        pids = [
            r["pid"] for r in await con.fetch("select pid from pg_stat_activity where application_name like 'aiops-%'")
        ]
        for pid in rng.sample(pids, min(5, len(pids))):
            await con.execute("select pg_terminate_backend($1)", pid)
    finally:
        await con.close()


async def restart_postgres(world: World, rng: random.Random) -> None:
    """Stop PostgreSQL, fast or at once, and start it again over the same data at the same address."""
    await asyncio.to_thread(world.postgres.stop, immediate=rng.random() > 0.5)  # noqa: PLR2004 - one of two
    await asyncio.to_thread(world.postgres.start)


def at(failpoint: str, nth: int = 1) -> Blow:
    """Return the blow that lets the next process die that reaches the failpoint ``nth`` times."""

    async def arm(world: World, _rng: random.Random) -> None:
        world.arm(failpoint, nth)

    return arm


async def haunt(world: World, blows: Sequence[Blow], *, every: float, seed: int, most: int | None = None) -> None:
    """Strike every ``every`` seconds, ``most`` times or until cancelled; what strikes follows from the seed."""
    rng = random.Random(seed)
    struck = 0
    while most is None or struck < most:
        await asyncio.sleep(every * (0.5 + rng.random()))
        await rng.choice(blows)(world, rng)
        struck += 1
