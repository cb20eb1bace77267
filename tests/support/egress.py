"""Where tests' clients may call: this machine, as an operator lists it."""

from typing import Any

from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp, GuardedResponse
from aiops_host.work.workshop import MODEL_ANSWER_BYTES, MODEL_SECONDS

LOOPBACK = Destinations.parse("127.0.0.0/8,::1/128", "443")


class LoopbackHttp:
    """The guarded client with the bounds of models, opened for each request, so that nobody has to close it."""

    async def request(self, method: str, url: str, **given: Any) -> GuardedResponse:
        """Send one request."""
        http = GuardedHttp.open(LOOPBACK).patient(total_seconds=MODEL_SECONDS, max_body_bytes=MODEL_ANSWER_BYTES)
        try:
            return await http.request(method, url, **given)
        finally:
            await http.aclose()
