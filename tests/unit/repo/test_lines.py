"""The account a benchmark's sender keeps of broken connections."""

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.bodies import KINDS, batch
from benchmarks.lines import Account, Feed, Line, Request

BODY = b'{"delivery_id":"d"}'
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n%s\r\n" + BODY
RAW = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
Serve = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def sent(serve: Serve, many: int) -> Account:
    """Send so many requests over one line to a server that treats its connections, by number, as told."""
    account, opened = Account(), 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await serve(opened, reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    feed: Feed = asyncio.Queue()
    for number in range(many):
        feed.put_nowait(Request("kind", RAW, f"request {number}"))
    feed.put_nowait(None)
    async with server:
        await Line(*server.sockets[0].getsockname()[:2], feed, account).work()
    return account


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, times: int, last: bytes = b"") -> None:
    """Answer so many requests; the last answer may have a header more."""
    for number in range(times):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER % (len(BODY), last if number == times - 1 else b""))
    await writer.drain()


async def test_a_connection_broken_without_an_answer_is_a_fault() -> None:
    """The request is sent again and answered, and all the same the break is counted and shown."""

    async def serve(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            await answer(reader, writer, 2)
            await reader.readuntil(b"\r\n\r\n")
        else:
            await answer(reader, writer, 4)

    account = await sent(serve, 6)
    assert account.statuses == {202: 6}
    assert account.connections == {"opened": 2, "unanswered": 1}
    assert len(account.faults) == 1
    assert "request 2" in account.faults[0]
    assert account.given_up == 0


async def test_a_request_that_breaks_every_connection_is_given_up() -> None:
    """It is tried three times and reported as never answered; the others are answered."""

    async def serve(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if number <= 3:
            await reader.readuntil(b"\r\n\r\n")
        else:
            await answer(reader, writer, 5)

    account = await sent(serve, 6)
    assert (account.statuses, account.given_up) == ({202: 5}, 1)
    assert account.connections["unanswered"] == 3
    assert account.faults[-1] == "never answered: request 0"


async def test_a_connection_whose_end_was_announced_is_no_fault() -> None:
    """After ``Connection: close`` what else was sent is sent again on another connection."""

    async def serve(_number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, 2, last=b"Connection: close\r\n")

    account = await sent(serve, 6)
    assert account.statuses == {202: 6}
    assert account.connections == {"opened": 3, "closed": 3}
    assert account.faults == []


def test_a_batch_has_bodies_of_every_kind_and_comes_again() -> None:
    """The same seed makes the same bodies, most of them different from each other."""
    made = batch(7, 400)
    assert made == batch(7, 400)
    assert {body.kind for body in made} == KINDS.keys()
    assert len({body.content for body in made}) > 300
