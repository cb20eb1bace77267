"""What plugins are handed: Protocols the host implements, each already bound to one tenant.

No call takes a tenant: the tenant of a run comes from its delivery, never from an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from aiops_core.config import Secret
from aiops_core.tickets import Evidence


class Clock(Protocol):
    """The host's clock."""

    def now(self) -> datetime:
        """Return the present as a timezone-aware UTC time."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...


class Log(Protocol):
    """A logger that already names plugin, tenant and delivery; standard ``logging`` adapters fit."""

    def debug(self, msg: str, *args: object) -> None:
        """Log a detail."""
        ...

    def info(self, msg: str, *args: object) -> None:
        """Log a fact."""
        ...

    def warning(self, msg: str, *args: object) -> None:
        """Log something a person may want to look at."""
        ...


class HttpResponse(Protocol):
    """An answer whose decoded body was read whole, within the client's size limit."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header values by case-insensitive name."""
        ...

    @property
    def content(self) -> bytes:
        """The decoded body."""
        ...


class HttpClient(Protocol):
    """The guarded client: no redirects, no proxies from the environment, bounded time and size, no retries."""

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
        """Send one request to an absolute URL and read the answer.

        Args:
            method: The HTTP method.
            url: An absolute ``http`` or ``https`` address.
            headers: Header values by name.
            params: Query parameters, encoded and appended.
            content: The body's bytes.
            timeout: Seconds for the whole exchange; at most the client's own limit.

        Raises:
            HttpFailed: No answer; its ``sent`` says whether the request may have reached the peer.
        """
        ...


class TicketHistory(Protocol):
    """The tenant's resolved tickets."""

    async def similar(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Return the past tickets most like ``text``, best first, with category, priority and resolution."""
        ...


class KnowledgeBase(Protocol):
    """The tenant's articles."""

    async def search(self, text: str, limit: int = 5) -> Sequence[Evidence]:
        """Return the articles most about ``text``, best first."""
        ...


class AssetInventory(Protocol):
    """The tenant's assets."""

    async def find(self, keys: Sequence[str]) -> Sequence[Evidence]:
        """Return the assets that have one of the IP addresses, hostnames or names; case does not matter."""
        ...


class TicketingServices(Protocol):
    """Handed to a ticketing tool's factory."""

    http: HttpClient
    clock: Clock
    log: Log
    webhook_secrets: Sequence[Secret]
    """The endpoint's live webhook secrets, newest first; they open in the host process only."""


class ToolServices(Protocol):
    """Handed to a tool's factory."""

    http: HttpClient
    clock: Clock
    log: Log
    history: TicketHistory
    knowledge: KnowledgeBase
    assets: AssetInventory


class BackendServices(Protocol):
    """Handed to an LLM backend's factory. Some LLM libraries bring their own HTTP client and ignore ``http``."""

    http: HttpClient
    clock: Clock
    log: Log


class AgentServices(Protocol):
    """Handed to an agent's factory."""

    clock: Clock
    log: Log


class KeyServices(Protocol):
    """Handed to a key provider's factory."""

    http: HttpClient
    clock: Clock
    log: Log


JsonObject = dict[str, Any]
"""A JSON object, as stored in a step's inputs and outputs."""
