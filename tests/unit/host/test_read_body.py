"""How a webhook's body is read: bounded in size, before anything else is done with it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aiops_host.web.intake import read_body
from aiops_host.web.problems import Refused

Receive = Callable[[], Awaitable[Any]]


def chunks(*bodies: bytes, last: bool = True) -> Receive:
    """Return the chunks one by one; the last one ends the body unless it is said not to."""
    waiting = [{"type": "http.request", "body": b, "more_body": True} for b in bodies]
    waiting[-1]["more_body"] = not last

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    return receive


async def never() -> dict[str, Any]:
    """Fail: nothing may be read."""
    raise AssertionError("the body was read")


async def status_of(work: Awaitable[bytes]) -> tuple[int, str]:
    """Return the refusal's status and code."""
    with pytest.raises(Refused) as refused:
        await work
    return refused.value.problem.status, refused.value.problem.code


async def test_a_body_arrives_whole() -> None:
    """Chunks are put together, up to exactly the limit."""
    assert await read_body({}, chunks(b"ab", b"", b"cd"), 4) == b"abcd"
    assert await read_body({}, chunks(b""), 4) == b""


async def test_what_announces_too_much_is_not_read() -> None:
    """A length above the limit, or an encoding, is refused before one byte is read."""
    assert await status_of(read_body({"content-length": "5"}, never, 4)) == (413, "too-large")
    assert await status_of(read_body({"content-encoding": "gzip"}, never, 4)) == (415, "encoded")


@pytest.mark.promise("slow-senders")
async def test_what_grows_too_large_is_not_read_on() -> None:
    """A body without a length is refused at the chunk that exceeds the limit, be it the last one or one of many."""
    assert await status_of(read_body({}, chunks(b"abc", b"de", last=False), 4)) == (413, "too-large")
    assert await status_of(read_body({}, chunks(b"abcde"), 4)) == (413, "too-large")


async def test_a_sender_that_leaves_is_not_an_error_of_ours() -> None:
    """A connection closed before the body's end is a bad request, whoever may read the answer."""

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert await status_of(read_body({}, gone, 4)) == (400, "disconnected")
