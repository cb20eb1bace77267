"""Run as a program: completes requests in two providers' protocols against the given server and reports every look-up and connection."""

import asyncio
import json
import sys
from typing import Any

from aiops_agents import plugin
from aiops_agents.backends import library
from aiops_core import load_config
from aiops_core.testing.fakes import FakeServices, make_request
from aiops_host.trust.destinations import Destinations
from aiops_host.trust.egress import GuardedHttp

looked_up: list[Any] = []
connected: list[Any] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        looked_up.append(arguments[0])
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        connected.append(arguments[1][:2])


async def _complete(url: str) -> list[str]:
    spec = next(s for s in plugin.aiops_register_llm_backends() if s.name == "litellm")
    before = [name for name in ("litellm", "openai", "langgraph") if name in sys.modules]
    await library.load()
    http = GuardedHttp.open(Destinations.parse("127.0.0.0/8", "443"))
    for model, base in (("openai/probe", f"{url}/v1"), ("anthropic/claude-sonnet-4-5", url)):
        config = load_config(spec.config, {"models": [{"model": model, "api_base": base, "api_key": "sk-probe"}]})
        backend = spec.factory(config, FakeServices(http=http))
        await backend.complete(make_request())
        await backend.check_health()
    await http.aclose()
    return before


if __name__ == "__main__":
    sys.addaudithook(_watch)
    loaded = asyncio.run(_complete(sys.argv[1]))
    encodings = [name for name in sys.modules if name.startswith("tiktoken_ext.")]
    report = {"looked_up": looked_up, "connected": connected, "loaded_before_first_use": loaded, "encodings": encodings}
    print(json.dumps(report))
