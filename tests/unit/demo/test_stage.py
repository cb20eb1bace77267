"""Waiting for the first of several things."""

import asyncio

import pytest

from aiops_demo.stage import first_of


async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    """What was waited for has ended once a cancelled wait ends, however it ended: no task is left to complain later."""
    begun: list[str] = []
    ended: list[str] = []

    async def a_part(name: str) -> None:
        try:
            begun.append(name)
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            raise RuntimeError(name)

    waiting = asyncio.create_task(first_of(a_part("host"), a_part("worker")))
    async with asyncio.timeout(60):
        while len(begun) < 2:  # noqa: ASYNC110 - both say it in one list
            await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sorted(ended) == ["host", "worker"]


async def test_what_ended_first_is_what_the_wait_ends_with() -> None:
    """The others are ended; a failure of the first is raised."""
    other = asyncio.ensure_future(asyncio.Event().wait())

    async def fails() -> None:
        raise RuntimeError("it broke")

    with pytest.raises(RuntimeError, match="it broke"):
        await first_of(fails(), other)
    assert other.cancelled()
