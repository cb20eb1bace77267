"""An OpenAI-compatible server for tests: it records what it is asked and can misbehave in every way a real one does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from aiops_agents.backends import library

Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Body

    def message(self, start: str) -> str:
        """Return the content of the first message that starts with ``start``."""
        return next(str(m["content"]) for m in self.body["messages"] if str(m["content"]).startswith(start))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What to send back; ``hang`` sends nothing, ``endless`` a body that does not stop, ``drip`` one byte after another."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    kind: Literal["whole", "hang", "endless", "drip"] = "whole"


Answer = Callable[[Asked], Reply]


class LLMStub:
    """The running server. ``asked`` grows with every request; ``answer`` may be exchanged between requests."""

    def __init__(self, answer: Answer) -> None:
        """Take the function that answers."""
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = ""
        self.connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests on one connection until it closes."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)
        try:
            while True:
                asked = await _read(reader)
                self.asked.append(asked)
                await _write(writer, self.answer(asked))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def load_litellm() -> None:
    """Load the library before a test whose time would otherwise go into that: it takes long on a busy machine."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, library.load()).result()


@asynccontextmanager
async def llm_stub(answer: Answer) -> AsyncIterator[LLMStub]:
    """Run a server on a random loopback port inside the block."""
    stub = LLMStub(answer)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield stub
    finally:
        server.close()
        for task in list(stub.connections):
            task.cancel()
        await asyncio.gather(*stub.connections, return_exceptions=True)
        await server.wait_closed()


def says(text: str | None, **message: Any) -> Answer:
    """Answer every request with this text of the model."""
    return lambda asked: chat(text, **message)


def chat(text: str | None, **message: Any) -> Reply:
    """Return a complete chat answer; ``message`` adds fields to the model's message."""
    answer = {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "stub",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
    }
    return Reply(headers={"content-type": "application/json"}, body=msgspec.json.encode(answer))


def speaks_both(text: str) -> Answer:
    """Answer in the protocol of the path asked for: OpenAI's chat completions or Anthropic's messages."""

    def answer(asked: Asked) -> Reply:
        if not asked.path.endswith("/messages"):
            return chat(text)
        content = {"type": "text", "text": text}
        usage = {"input_tokens": 1000, "output_tokens": 200}
        body = {"id": "msg_stub", "type": "message", "role": "assistant", "model": "stub", "content": [content]}
        whole = msgspec.json.encode({**body, "stop_reason": "end_turn", "usage": usage})
        return Reply(headers={"content-type": "application/json"}, body=whole)

    return answer


def note(*sections: tuple[str, Sequence[tuple[str, Sequence[int]]]], **more: Any) -> str:
    """Return the asked structure as JSON; ``more`` adds fields nobody asked for."""
    built = [{"kind": k, "claims": [{"text": t, "citations": list(c)} for t, c in claims]} for k, claims in sections]
    return msgspec.json.encode({"sections": built, **more}).decode()


def fails(status: int, *, text: str = "no", **headers: str) -> Answer:
    """Answer every request with an error; underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = msgspec.json.encode({"error": {"message": text, "type": "stub", "code": None}})
    return lambda asked: Reply(status=status, headers={"content-type": "application/json", **named}, body=body)


def sends(reply: Reply) -> Answer:
    """Answer every request with this reply."""
    return lambda asked: reply


def in_turn(*answers: Answer) -> Answer:
    """Answer with each in turn, then with the last for ever."""
    left = list(answers)

    def answer(asked: Asked) -> Reply:
        now = left.pop(0) if len(left) > 1 else left[0]
        return now(asked)

    return answer


def refuses_format(answer: Answer) -> Answer:
    """Answer only requests without ``response_format``; others are a bad request, as at older servers."""
    refusal = fails(400, text="unknown field response_format")
    return lambda asked: refusal(asked) if "response_format" in asked.body else answer(asked)


def obeys_the_ticket(asked: Asked) -> Reply:
    """Do whatever lines that start with ``SAY``, ``PROVE``, ``CITE``, ``CALL`` or ``SET`` in the ticket tell.

    The worst model there is: it takes the ticket's author for its master. ``PROVE`` says a thing with the number of
    real evidence, ``CITE`` with one that does not exist.
    """
    orders = re.findall(r"^(SAY|PROVE|CITE|CALL|SET) (.+)$", asked.message("The ticket:"), re.M)
    said = [(text, ()) for verb, text in orders if verb == "SAY"]
    cited = [(text, (97,)) for verb, text in orders if verb == "CITE"]
    cited += [(text, (1,)) for verb, text in orders if verb == "PROVE"]
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": text.split()[0], "arguments": text}}
        for n, (verb, text) in enumerate(orders)
        if verb == "CALL"
    ]
    settings = dict(text.split("=", 1) for verb, text in orders if verb == "SET")
    kinds = ("summary", "similar", "documentation", "systems", "triage")
    answer = note(*((kind, said + cited) for kind in kinds), **settings, evidence=[{"text": "made up"}])
    return chat(answer, **({"tool_calls": calls} if calls else {}))


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method=method, path=path, headers=headers, body=msgspec.json.decode(body) if body else {})


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    if reply.kind == "hang":
        await asyncio.Event().wait()
    unending = reply.kind in ("endless", "drip")
    framing = "transfer-encoding: chunked" if unending else f"content-length: {len(reply.body)}"
    lines = [f"HTTP/1.1 {reply.status} stub", framing, *(f"{k}: {v}" for k, v in reply.headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + reply.body)
    await writer.drain()
    while reply.kind == "endless":
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()
    while reply.kind == "drip":
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
