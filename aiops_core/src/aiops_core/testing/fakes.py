"""Test doubles for authors of plugins: small real implementations of what the host hands in."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from aiops_core.config import Secret
from aiops_core.drafts import draft_schema, read_draft
from aiops_core.errors import AiopsError, HttpFailed, LLMUnavailable
from aiops_core.llm import Completion, CompletionRequest, LLMBackend, Message
from aiops_core.services import AssetInventory, Clock, HttpClient, HttpResponse, KnowledgeBase, Log, TicketHistory
from aiops_core.ticketing import Health
from aiops_core.tickets import Evidence, NoteDraft, Person, Ticket

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class FrozenClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now: datetime = NOON) -> None:
        """Start at ``now``, a timezone-aware time."""
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the present."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Go forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class SystemClock:
    """The machine's clock, for tests of deadlines."""

    def now(self) -> datetime:
        """Return the present in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()


class RecordingLog:
    """A log that keeps its lines as ``(level, message)``."""

    def __init__(self) -> None:
        """Start empty."""
        self.lines: list[tuple[str, str]] = []

    def debug(self, msg: str, *args: object) -> None:
        """Keep a detail."""
        self._keep("debug", msg, args)

    def info(self, msg: str, *args: object) -> None:
        """Keep a fact."""
        self._keep("info", msg, args)

    def warning(self, msg: str, *args: object) -> None:
        """Keep a warning."""
        self._keep("warning", msg, args)

    @property
    def text(self) -> str:
        """All messages, one per line."""
        return "\n".join(message for _, message in self.lines)

    def _keep(self, level: str, msg: str, args: tuple[object, ...]) -> None:
        self.lines.append((level, msg % args if args else msg))


class _Headers(Mapping[str, str]):
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, kw_only=True, slots=True)
class SentRequest:
    """A request a plugin sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: Mapping[str, str]
    content: bytes


class Answer:
    """An HTTP answer; ``json`` is encoded as the body in place of ``content``."""

    def __init__(
        self, status_code: int = 200, *, json: object = None, content: bytes = b"", headers: Mapping[str, str] = {}
    ) -> None:
        """Take the status, the body and the headers."""
        self.status_code = status_code
        self.content = content if json is None else msgspec.json.encode(json)
        self.headers: Mapping[str, str] = _Headers(headers)


class FakeHttp:
    """The guarded client with a function in place of the network; ``requests`` keeps what was sent.

    The function may raise :class:`~aiops_core.errors.HttpFailed`. Without one no request reaches a peer.
    """

    def __init__(self, answer: Callable[[SentRequest], HttpResponse] | None = None) -> None:
        """Take the function that stands for the other side."""
        self._answer = answer
        self.requests: list[SentRequest] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> HttpResponse:
        """Record the request and answer it."""
        sent = SentRequest(
            method=method, url=url, headers=_Headers(headers or {}), params=dict(params or {}), content=content or b""
        )
        self.requests.append(sent)
        if self._answer is None:
            raise HttpFailed("The connection was refused.", sent=False)
        return self._answer(sent)


class HangingHttp:
    """A client whose peers never answer."""

    async def request(self, method: str, url: str, **_options: Any) -> HttpResponse:
        """Wait until cancelled, or until ``timeout`` seconds have passed."""
        try:
            async with asyncio.timeout(_options.get("timeout")):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        raise HttpFailed("The answer took too long.", sent=True)


class InMemoryHistory:
    """Resolved tickets ranked by the words they share with the text."""

    def __init__(self, tickets: Iterable[Evidence] = ()) -> None:
        """Take past tickets as evidence."""
        self._tickets = tuple(tickets)

    async def similar(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Return the tickets that share words with ``text``, best first."""
        return _ranked(self._tickets, text, limit)


class InMemoryKnowledge:
    """Articles ranked by the words they share with the text."""

    def __init__(self, articles: Iterable[Evidence] = ()) -> None:
        """Take articles as evidence."""
        self._articles = tuple(articles)

    async def search(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Return the articles that share words with ``text``, best first."""
        return _ranked(self._articles, text, limit)


class InMemoryAssets:
    """Assets found by a word of their reference, title or text."""

    def __init__(self, assets: Iterable[Evidence] = ()) -> None:
        """Take assets as evidence."""
        self._assets = tuple(assets)

    async def find(self, keys: Sequence[str]) -> Sequence[Evidence]:
        """Return the assets that have one of the keys; case does not matter."""
        wanted = {key.casefold() for key in keys}
        return [a for a in self._assets if wanted & {w.strip(".,;()") for w in _all_text(a).casefold().split()}]


class Hanging:
    """A history, knowledge base and inventory that never answer."""

    async def similar(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Wait until cancelled."""
        return await self._answer()

    async def search(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Wait until cancelled."""
        return await self._answer()

    async def find(self, keys: Sequence[str]) -> Sequence[Evidence]:
        """Wait until cancelled."""
        return await self._answer()

    async def _answer(self) -> Sequence[Evidence]:
        await asyncio.Event().wait()
        return ()


class Failing(Hanging):
    """A history, knowledge base and inventory that cannot be read."""

    async def _answer(self) -> Sequence[Evidence]:
        raise AiopsError("The records cannot be read at the moment.")


@dataclass(kw_only=True)
class FakeServices:
    """What any factory is handed: fits ticketing tools, tools, LLM backends and agents."""

    http: HttpClient = field(default_factory=FakeHttp)
    clock: Clock = field(default_factory=SystemClock)
    log: Log = field(default_factory=RecordingLog)
    history: TicketHistory = field(default_factory=InMemoryHistory)
    knowledge: KnowledgeBase = field(default_factory=InMemoryKnowledge)
    assets: AssetInventory = field(default_factory=InMemoryAssets)
    webhook_secrets: Sequence[Secret] = ()

    @classmethod
    def hanging(cls) -> FakeServices:
        """Return services of which none ever answers."""
        return cls(http=HangingHttp(), history=Hanging(), knowledge=Hanging(), assets=Hanging())

    @classmethod
    def failing(cls) -> FakeServices:
        """Return services of which each raises."""
        return cls(http=FakeHttp(), history=Failing(), knowledge=Failing(), assets=Failing())


class ScriptedBackend(LLMBackend):
    """An LLM backend that gives prepared answers in turn; ``requests`` keeps what was asked.

    A text is read as a model's answer would be; an error is raised. After the last answer it is unavailable.
    """

    def __init__(self, *answers: NoteDraft | str | Exception) -> None:
        """Take the answers in order."""
        self._answers = deque(answers)
        self.requests: list[CompletionRequest] = []

    async def complete(self, request: CompletionRequest) -> Completion:
        """Give the next answer."""
        self.requests.append(request)
        answer = self._answers.popleft() if self._answers else LLMUnavailable("The script has no further answer.")
        if isinstance(answer, Exception):
            raise answer
        return Completion(draft=read_draft(answer) if isinstance(answer, str) else answer, model="scripted")

    async def check_health(self) -> Health:
        """Say how many answers are left."""
        return Health(status="ok", detail=f"{len(self._answers)} prepared answers left.")


def make_ticket(**changes: Any) -> Ticket:
    """Return an ordinary open ticket with some fields changed."""
    facts: dict[str, Any] = {
        "id": "4711",
        "title": "VPN drops every few minutes",
        "description": "Since this morning the VPN client on LAPTOP-0042 (10.20.30.40) disconnects after two minutes.",
        "state": "open",
        "priority": "medium",
        "requester": Person(name="Dana Kim", email="dana.kim@example.com"),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Ticket(**{**facts, **changes})


def make_evidence() -> tuple[Evidence, ...]:
    """Return a past ticket and an article that help with :func:`make_ticket`."""
    return (
        Evidence(
            source="ticket",
            ref="4102",
            title="VPN client disconnects after two minutes",
            text="VPN client drops. The MTU of the tunnel was too large.",
            resolution="Set the MTU of the VPN adapter to 1300 and restart the client.",
            category="Network",
            time=NOON - timedelta(days=90),
            score=7.5,
        ),
        Evidence(
            source="article",
            ref="KB-12",
            title="VPN: unstable connection",
            text="If the VPN client disconnects, check the MTU of the adapter first.",
            score=3.1,
        ),
    )


def make_request(evidence: Sequence[Evidence] | None = None, **changes: Any) -> CompletionRequest:
    """Return what an agent would ask about :func:`make_ticket`; ``changes`` are fields of the request."""
    items = tuple(make_evidence() if evidence is None else evidence)
    numbered = "\n".join(f"[{n}] {e.title}: {e.text} {e.resolution or ''}".strip() for n, e in enumerate(items, 1))
    facts: dict[str, Any] = {
        "messages": (
            Message(
                role="system",
                purpose="instructions",
                content="You help a technician. Answer as JSON of the given schema; cite the evidence by its numbers.",
            ),
            Message(role="user", purpose="ticket", content=make_ticket().text),
            Message(role="user", purpose="evidence", content=numbered or "No evidence was found."),
            Message(role="user", purpose="question", content="What is this about and what should be done next?"),
        ),
        "evidence": items,
        "output_schema": draft_schema(),
        "timeout": 30.0,
    }
    return CompletionRequest(**{**facts, **changes})


def _all_text(item: Evidence) -> str:
    return f"{item.ref} {item.title} {item.text}"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.casefold()))


def _ranked(items: Iterable[Evidence], text: str, limit: int) -> list[Evidence]:
    wanted = _words(text)
    scored = [(len(wanted & _words(_all_text(item))), item) for item in items]
    best = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-pair[0], pair[1].ref))
    return [msgspec.structs.replace(item, score=float(shared)) for shared, item in best[:limit]]
