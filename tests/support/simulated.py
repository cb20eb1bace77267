"""A vendor simulator as the guarded client sees it, without a port."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from aiops_core.errors import HttpFailed
from aiops_core.services import HttpResponse
from aiops_core.testing.fakes import Answer
from aiops_demo.simulators.base import Call, Drop, VendorSimulator


class SimulatedHttp:
    """Core's ``HttpClient`` whose only peer is a simulator in this process; ``calls`` keeps what was sent."""

    def __init__(self, simulator: VendorSimulator) -> None:
        """Take the simulator."""
        self._simulator = simulator
        self.calls: list[Call] = []

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
        """Hand the request to the simulator."""
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        call = Call(method, unquote(urlsplit(url).path), dict(params or {}), lower, content or b"")
        self.calls.append(call)
        try:
            answer = await self._simulator.answer(call)
        except Drop:
            raise HttpFailed("The connection broke off.", sent=True) from None
        return Answer(answer.status, content=answer.encoded(), headers=answer.headers)
