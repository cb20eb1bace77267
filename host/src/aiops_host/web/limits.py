"""How often one address and one tenant may ask the API: a bucket of requests each, refilled all the time.

The buckets live in this process. One process answers HTTP, so that is all of them; Redis may be away.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Network

from litestar.handlers import BaseRouteHandler

from aiops_host.settings import Settings
from aiops_host.web.access import AnyConnection, ChosenTenant
from aiops_host.web.peer import Peers
from aiops_host.web.problems import Problem, Refused

API = "/api/"
MINUTE = 60.0
MOST_BUCKETS = 10_000


class Buckets:
    """A bucket per key that holds a minute's requests; empty ones refill evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic, most: int = MOST_BUCKETS) -> None:
        """Take the size of a bucket; 0 for no limit. Of more than ``most`` keys the longest unused is forgotten."""
        self._size = per_minute
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one request out of the key's bucket; return 0, or how many seconds until there is one."""
        if not self._size:
            return 0.0
        now = self._clock()
        left, then = self._kept.pop(key, (float(self._size), now))
        left = min(float(self._size), left + (now - then) * self._size / MINUTE)
        allowed = left >= 1
        self._kept[key] = (left - allowed, now)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return 0.0 if allowed else (1 - left) * MINUTE / self._size


class Limits:
    """The guards before and after the one that asks who it is.

    Webhooks pass: a refusal is final at some senders, and their work is shared out fairly among tenants later.
    """

    def __init__(self, settings: Settings, peers: Peers, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the sizes of the buckets and what tells whose address a request comes from."""
        self._peers = peers
        self._addresses = Buckets(settings.requests_per_address, clock)
        self._tenants = Buckets(settings.requests_per_tenant, clock)

    def check_address(self, connection: AnyConnection, _: BaseRouteHandler) -> None:
        """Refuse an address that asks too often. Our own parts, such as the dashboard, ask for many people."""
        if not connection.scope["path"].startswith(API):
            return
        address = self._peers.address_of(connection)
        if not self._peers.believes(address):
            _refuse_until(self._addresses.take(_line(address)), "This address asks too often.")

    def check_tenant(self, connection: AnyConnection, _: BaseRouteHandler) -> None:
        """Refuse a tenant whose people and programs together ask too often; needs the tenant the guard found."""
        chosen = connection.scope.get("auth")
        if isinstance(chosen, ChosenTenant):
            _refuse_until(self._tenants.take(str(chosen.tenant_id)), "This tenant asks too often.")


def _line(address: str) -> str:
    """Return what stands for a sender who has many addresses: of IPv6 the /64 one line is given."""
    return str(IPv6Network((address, 64), strict=False)) if ":" in address else address


def _refuse_until(seconds: float, why: str) -> None:
    if seconds:
        wait = max(1, math.ceil(seconds))
        problem = Problem(status=429, code="too-many-requests", detail=f"{why} Try again in {wait} s.")
        raise Refused(problem, {"Retry-After": str(wait)})
