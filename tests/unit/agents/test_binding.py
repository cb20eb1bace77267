"""A key goes to the host it was given for, whatever stands in a model's name."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.llm_stub import load_litellm

from aiops_agents.backends.config import LiteLLMConfig, ModelConfig, addresses, from_routes
from aiops_agents.backends.litellm import LiteLLMBackend
from aiops_core import ConfigInvalid, HttpFailed, LLMRefused, LLMUnavailable, ModelRoute, Secret, load_config
from aiops_core.testing.fakes import FakeServices, make_request

KEY = "sk-canary-81"
ADDRESSES = {
    "openai": "https://llm.example/v1",
    "azure": "https://acme.openai.azure.com",
    "anthropic": "https://a.example",
}
TRICKS = (
    "gpt-4o",
    "responses/gpt-4o",
    "ft:gpt-4o:org::id",
    "bedrock/anthropic.claude-3",
    "vertex_ai/gemini-pro",
    "huggingface/https:/evil.example",
    "https://evil.example/v1",
    "x@evil.example",
    "o_series/o1",
    "gpt5_series/gpt-5",
    "command-r-plus",
    "sagemaker/x",
    "ollama/llama3",
    "gemini/gemini-pro",
    "openai/azure/anthropic/x",
    "litellm_proxy/x",
    "a/../../b",
    "a?api-version=x",
    "a#b",
    "a%2f..%2f..%2fb",
    "claude-3-5-sonnet@20240620",
    "text-embedding-ada-002",
    "dall-e-3",
    "gpt-3.5-turbo-instruct",
)


@dataclass
class Outside:
    """Everything that would leave the machine; each request is answered as refused."""

    sent: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def request(self, method: str, url: str, **given: Any) -> Any:
        """Note the request and fail."""
        self.sent.append((url, dict(given.get("headers") or {}), given.get("content") or b""))
        raise HttpFailed("nobody is there", sent=False)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


async def no_pause(_seconds: float) -> None:
    """Take no time between tries."""


async def ask(protocol: str, name: str) -> Outside:
    """Ask a model of that name with a key, and return what would have left."""
    outside = Outside()
    try:
        model = ModelConfig(model=f"{protocol}/{name}", api_base=ADDRESSES[protocol], api_key=Secret.of(KEY), timeout=5)
        config = load_config(LiteLLMConfig, msgspec.to_builtins({"models": []}) | {"models": [model]})
    except (ConfigInvalid, msgspec.ValidationError):
        return outside
    services = FakeServices()
    services.http = outside
    backend = LiteLLMBackend(config, services, pause=no_pause)
    with pytest.raises((LLMRefused, LLMUnavailable)):
        await backend.complete(make_request(timeout=5.0))
    return outside


def check(outside: Outside, protocol: str) -> None:
    """Demand that everything went below the protocol's address."""
    for url, _headers, _body in outside.sent:
        assert f"{url}/".startswith(f"{ADDRESSES[protocol]}/"), url


@pytest.mark.attack(18, figure=72)
@pytest.mark.parametrize("protocol", sorted(ADDRESSES))
async def test_no_name_of_a_model_leads_elsewhere(protocol: str) -> None:
    """Names that mean another provider to the library, or another place in an address, never move the request."""
    sent = 0
    for name in TRICKS:
        outside = await ask(protocol, name)
        check(outside, protocol)
        sent += len(outside.sent)
    assert sent > 5


@pytest.mark.attack(18, figure=200)
@settings(max_examples=200)
@given(
    protocol=st.sampled_from(sorted(ADDRESSES)),
    name=st.text(alphabet=string.ascii_letters + string.digits + "/:@.-_%?#&= \\", max_size=40),
)
@pytest.mark.attack(18, figure="200 names")
async def test_no_made_up_name_leads_elsewhere(protocol: str, name: str) -> None:
    """Of two hundred random names none is sent anywhere but below the listed address."""
    check(await ask(protocol, name), protocol)


def test_addresses_are_told() -> None:
    """The host learns every address a configuration leads to; one that has none is refused."""
    config = load_config(
        LiteLLMConfig,
        {
            "models": [
                {"model": "openai/a"},
                {"model": "anthropic/b"},
                {"model": "openai/c", "api_base": "https://c.example"},
            ]
        },
    )
    assert list(addresses(config)) == ["https://api.openai.com/v1", "https://api.anthropic.com", "https://c.example"]
    with pytest.raises(ConfigInvalid, match="azure/x needs an api_base"):
        list(addresses(load_config(LiteLLMConfig, {"models": [{"model": "azure/x"}]})))


def test_routes_keep_their_order_and_place() -> None:
    """What the host hands over is asked in its order, each model at its address with its key's handle."""
    key = Secret.of(KEY)
    routes = [
        ModelRoute(provider=p, protocol=p, model="m", address=ADDRESSES[p], key=key, api_version="v")  # type: ignore[arg-type]
        for p in ("azure", "openai")
    ]
    made = from_routes(routes)
    assert [(m.model, m.api_base, m.provider, m.api_version) for m in made.models] == [
        ("azure/m", ADDRESSES["azure"], "azure", "v"),
        ("openai/m", ADDRESSES["openai"], "openai", "v"),
    ]
    assert KEY not in repr(made)


def test_what_the_process_inherited_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, addresses and organisations of providers leave the environment with the first backend; others stay."""
    lent = ("OPENAI_API_KEY", "OPENAI_ORGANIZATION", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "AZURE_API_BASE")
    for name in (*lent, "AZURE_CLIENT_ID"):
        monkeypatch.setenv(name, KEY)
    LiteLLMBackend(load_config(LiteLLMConfig, {"models": [{"model": "openai/m"}]}), FakeServices())
    assert [name for name in (*lent, "AZURE_CLIENT_ID") if name in os.environ] == ["AZURE_CLIENT_ID"]
