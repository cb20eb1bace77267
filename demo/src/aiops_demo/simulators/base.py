"""What the vendor simulators share: routing, tickets, posted notes, misbehaviour, echo and the control surface."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar, Literal

import httpx
import msgspec

from aiops_demo.simulators.reading import Reading

Json = dict[str, Any]
"""A JSON object."""

ECHO_SECONDS = 10.0
MAX_DELAY_MS = 120_000


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to the vendor's API; header names are lower-case, repeated query names keep their last value."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body, or ``None`` when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor answers; ``body`` is encoded as JSON unless it is bytes or ``None``."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the body's bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Drop(Exception):
    """The connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the vendor's API; ``{name}`` in the template takes one path segment."""

    method: str
    template: str
    handler: Callable[..., Answer]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path's parameters, ``None`` when it is another path."""
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template), path)
        return found.groupdict() if found else None


class Posted(msgspec.Struct, frozen=True):
    """A note as the simulator keeps it; ``raw`` is the vendor's own object."""

    ticket: str
    internal: bool
    text: str
    raw: Json


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls misbehave: this method, a path in which the regular expression is found."""

    method: str | None = None
    path: str | None = None

    def __call__(self, call: Call) -> bool:
        """Return whether the call is meant."""
        if self.method is not None and call.method != self.method.upper():
            return False
        return self.path is None or re.search(self.path, call.path) is not None


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a webhook proves itself with: a body secret, static headers, or both."""

    secret: str | None = None
    headers: dict[str, str] = {}


class Echo(Proof, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where each posted note is sent as a webhook, proven as the vendor proves it."""

    url: str


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to misbehave; the default is to behave.

    ``delay_ms`` and ``fail_with`` befall calls that ``match``; ``apply_then`` befalls calls that posted or deleted
    a note, after they did: a status to answer instead, or ``"drop"`` to close the connection. ``times`` ends the
    behaviour after that many calls; without it, the behaviour lasts until the next one. ``echo_to`` sends
    every posted note as a webhook.
    """

    delay_ms: int = 0
    fail_with: int | None = None
    retry_after: int | str | None = None
    apply_then: int | Literal["drop"] | None = None
    times: int | None = None
    match: Match = Match()
    echo_to: Echo | None = None


class VendorSimulator(ABC):
    """One vendor's API in memory. A subclass gives routes, refusals, the shape of errors, tickets and webhooks."""

    editions: ClassVar[tuple[str, ...]]
    """Editions of the product that differ on the wire; the first is the default."""

    def __init__(self, *, token: str, edition: str | None = None, account: str | None = None) -> None:
        """Take the credential that is accepted.

        Args:
            token: The API token or key.
            edition: One of :attr:`editions`.
            account: The name that goes with the token, where the product asks for one.

        Raises:
            ValueError: There is no such edition.
        """
        self.edition = edition or self.editions[0]
        if self.edition not in self.editions:
            raise ValueError(f"edition {self.edition!r} is none of {', '.join(self.editions)}")
        self.token = token
        self.account = account or self.default_account
        self.url = "http://127.0.0.1"
        self.posted: list[Posted] = []
        self.behaviour = Behaviour()
        self.stats: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._routes = tuple(self.routes())
        self._changes = 0
        self._left: int | None = None
        self._echoes: set[asyncio.Task[None]] = set()

    default_account: ClassVar[str] = "automation"

    @abstractmethod
    def routes(self) -> Iterable[Route]:
        """Return the vendor's routes; a handler takes the call and the template's names as keywords."""

    @abstractmethod
    def refusal(self, call: Call) -> Answer | None:
        """Return the answer to a call whose credentials or headers are refused; ``None`` lets it through."""

    @abstractmethod
    def failure(self, status: int, *, retry_after: int | str | None = None) -> Answer:
        """Return the vendor's own shape of an error; ``retry_after`` becomes the header, in seconds or as a date."""

    @abstractmethod
    def add_ticket(self, ticket: Json) -> Json:
        """Keep a ticket given in the vendor's own JSON, whatever it lacks; return its id and what people call it."""

    @abstractmethod
    def to_vendor(self, neutral: Mapping[str, Any]) -> Json:
        """Return a seed ticket as the vendor's own JSON.

        Args:
            neutral: ``ticket_id, title, description, resolution, category, priority, requester, technician,
                created_at, resolved_at, url``; any but the first two may be missing, empty or ``None``. A person
                is a name or an object of ``name`` and ``email``, times are ISO 8601; ``description_format`` may
                say ``html``, ``wiki`` or ``adf-paragraphs``.
        """

    @abstractmethod
    def ticket(self, ticket_id: str) -> Json:
        """Return the vendor's own JSON of one ticket, by the id that :class:`Posted` names.

        Raises:
            KeyError: There is none.
        """

    @abstractmethod
    def webhook(
        self, ticket: Json, kind: str, *, proof: Proof, note: Json | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the webhook the vendor sends, proven as it can prove it. Pure.

        Args:
            ticket: The ticket in the vendor's own JSON.
            kind: ``opened``, ``updated``, ``resolved`` or ``commented``.
            proof: Secret and static headers.
            note: The vendor's own note object of a ``commented`` webhook.
        """

    def reading(self, call: Call) -> Reading | None:
        """Return what a person reads at an address, ``None`` where no ticket has its page."""
        return None

    def unknown_route(self, status: int) -> Answer:
        """Return the answer to a path (404) or a method of a known path (405) that the vendor does not have."""
        return self.failure(status)

    def record_note(self, ticket: str, *, internal: bool, text: str, raw: Json) -> None:
        """Keep a note that was just posted, in the order of arrival."""
        self.posted.append(Posted(ticket, internal, text, raw))
        self._changes += 1

    def forget_note(self, raw: Json) -> None:
        """Drop a note that was just deleted."""
        self.posted = [note for note in self.posted if note.raw is not raw]
        self._changes += 1

    def load_seed(self, path: Path) -> int:
        """Add the seed tickets of a JSON file (a list of neutral objects) or a CSV file; return how many."""
        text = path.read_text(encoding="utf-8")
        tickets = list(csv.DictReader(io.StringIO(text))) if path.suffix == ".csv" else json.loads(text)
        for neutral in tickets:
            self.add_ticket(self.to_vendor(neutral))
        return len(tickets)

    def behave(self, behaviour: Behaviour) -> None:
        """Misbehave this way from the next call on."""
        self.behaviour = behaviour
        self._left = behaviour.times

    async def answer(self, call: Call) -> Answer:
        """Answer one call, misbehaving as told.

        Raises:
            Drop: The connection is to be closed without an answer.
        """
        behaviour, before = self.behaviour, self._changes
        route, answer = await self._misbehaved(call, behaviour)
        if answer is None:
            answer = self._handled(call, route)
        self.stats[f"{call.method} {route.template if route else '(unknown)'}"] += 1
        if self._changes == before:
            self.statuses[answer.status] += 1
            return answer
        answer = self._after_write(call, behaviour, answer)
        self.statuses[answer.status] += 1
        return answer

    async def aclose(self) -> None:
        """Give up echoes that are still under way."""
        for task in self._echoes:
            task.cancel()
        await asyncio.gather(*self._echoes, return_exceptions=True)

    async def _misbehaved(self, call: Call, behaviour: Behaviour) -> tuple[Route | None, Answer | None]:
        route = next((r for r in self._routes if r.method == call.method and r.match(call.path) is not None), None)
        troubles = behaviour.delay_ms or behaviour.fail_with
        if not troubles or not behaviour.match(call) or not self._spend():
            return route, None
        await asyncio.sleep(min(behaviour.delay_ms, MAX_DELAY_MS) / 1000)
        if behaviour.fail_with is None:
            return route, None
        return route, self.failure(behaviour.fail_with, retry_after=behaviour.retry_after)

    def _handled(self, call: Call, route: Route | None) -> Answer:
        refusal = self.refusal(call)
        if refusal is not None:
            return refusal
        if route is not None:
            return route.handler(call, **(route.match(call.path) or {}))
        known = any(r.match(call.path) is not None for r in self._routes)
        return self.unknown_route(405 if known else 404)

    def _after_write(self, call: Call, behaviour: Behaviour, answer: Answer) -> Answer:
        if behaviour.echo_to is not None and call.method != "DELETE":
            self._echo(behaviour.echo_to)
        if behaviour.apply_then is None or not behaviour.match(call) or not self._spend():
            return answer
        if behaviour.apply_then == "drop":
            raise Drop
        return self.failure(behaviour.apply_then, retry_after=behaviour.retry_after)

    def _spend(self) -> bool:
        """Return whether the behaviour still holds, and count this call against it."""
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0

    def _echo(self, echo: Echo) -> None:
        note = self.posted[-1]
        headers, body = self.webhook(self.ticket(note.ticket), "commented", proof=echo, note=note.raw)
        task = asyncio.get_running_loop().create_task(_send(echo.url, headers, body))
        self._echoes.add(task)
        task.add_done_callback(self._echoes.discard)


async def _send(url: str, headers: dict[str, str], body: bytes) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=ECHO_SECONDS) as client:
        try:
            await client.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            return  # the receiver is away; the vendor would try again, the simulator does not


class _Text(HTMLParser):
    BREAKS = frozenset({"p", "div", "br", "li", "tr", "pre", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def html_text(html: str) -> str:
    """Return the text a reader of the HTML sees, one block per line."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (line.strip() for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)
