"""A coroutine's context in a thread of its own, for tests that are not coroutines."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from tests.support.llm_stub import Answer, LLMStub, llm_stub

Entered = TypeVar("Entered")


@contextmanager
def in_thread(context: AbstractAsyncContextManager[Entered]) -> Iterator[Entered]:
    """Enter an asynchronous context on an event loop that runs in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def llm_stub_in_thread(answer: Answer) -> Iterator[LLMStub]:
    """Run a stub of a model's server inside the block."""
    with in_thread(llm_stub(answer)) as stub:
        yield stub
