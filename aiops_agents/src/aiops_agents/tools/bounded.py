"""Calls into the tenant's records, within a tool's deadline and with its one kind of error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiops_core import AiopsError, ToolContext, ToolFailed

ResultT = TypeVar("ResultT")


async def within(context: ToolContext, call: Awaitable[ResultT]) -> ResultT:
    """Await a call until the context's deadline.

    Raises:
        ToolFailed: It failed or was not done in time.
    """
    seconds = max(context.deadline - context.clock.monotonic(), 0.0)
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise ToolFailed(f"did not answer in {seconds:.2g} s") from None
    except AiopsError as error:
        raise ToolFailed(str(error)) from error
