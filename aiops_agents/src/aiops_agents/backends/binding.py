"""A key bound to its host: whatever the library makes of a model's name, the request goes there or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from aiops_core import HttpClient, HttpFailed, HttpResponse

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class OnlyTo:
    """The guarded client, for requests below one address only."""

    http: HttpClient
    address: str

    async def request(self, method: str, url: str, **given: Any) -> HttpResponse:
        """Send one request; see core's ``HttpClient``."""
        asked, bound = urlsplit(url), urlsplit(self.address)
        below = f"{asked.path}/".startswith(f"{bound.path.rstrip('/')}/")
        # The client below reads %2e%2e as it reads two dots.
        if _origin(asked) != _origin(bound) or ".." in unquote(asked.path) or not below:
            raise HttpFailed(f"{asked.hostname} is not where the key belongs", sent=False)
        return await self.http.request(method, url, **given)


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
