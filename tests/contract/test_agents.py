"""The plugin's tools and backends keep the contracts of their kind."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.egress import LoopbackHttp
from tests.support.llm_stub import Answer, Reply, fails, llm_stub, load_litellm, note, says, sends

from aiops_agents import plugin
from aiops_agents.backends.litellm import LiteLLMBackend
from aiops_core import Evidence, LLMBackend, LLMBackendSpec, NoConfig, ToolSpec, load_config
from aiops_core.testing.fakes import (
    FakeServices,
    InMemoryAssets,
    InMemoryHistory,
    InMemoryKnowledge,
    make_evidence,
)
from aiops_core.testing.llm import LLMBackendContract, LLMBackendFaultsContract
from aiops_core.testing.tools import ToolContract

LAPTOP = Evidence(source="asset", ref="LAPTOP-0042", title="LAPTOP-0042", text="Laptop of Dana Kim, 10.20.30.40")
ANSWER = note(("summary", [("The tunnel's packets are too large.", [1])]), ("next_steps", [("Lower the MTU.", [2])]))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    load_litellm()


def _tool(name: str) -> ToolSpec:
    return next(spec for spec in plugin.aiops_register_tools() if spec.name == name)


def _backend(name: str) -> LLMBackendSpec:
    return next(spec for spec in plugin.aiops_register_llm_backends() if spec.name == name)


class TestSimilarTickets(ToolContract):
    """The search in the tenant's past tickets."""

    spec = _tool("similar_tickets")

    @pytest.fixture
    def services(self) -> FakeServices:
        """A history with one ticket about the VPN."""
        return FakeServices(history=InMemoryHistory(make_evidence()[:1]))


class TestKnowledgeBase(ToolContract):
    """The search in the tenant's articles."""

    spec = _tool("knowledge_base")

    @pytest.fixture
    def services(self) -> FakeServices:
        """Articles with one about the VPN."""
        return FakeServices(knowledge=InMemoryKnowledge(make_evidence()[1:]))


class TestAssetLookup(ToolContract):
    """The look-up in the tenant's inventory."""

    spec = _tool("asset_lookup")

    @pytest.fixture
    def services(self) -> FakeServices:
        """An inventory with the laptop the ticket names."""
        return FakeServices(assets=InMemoryAssets([LAPTOP]))


class TestOffline(LLMBackendContract):
    """The backend that quotes."""

    @pytest.fixture
    def backend(self) -> LLMBackend:
        """As the record's factory makes it."""
        return _backend("offline").factory(NoConfig(), FakeServices())


class TestLiteLLM(LLMBackendContract, LLMBackendFaultsContract):
    """The backend that asks models."""

    @pytest.fixture
    async def backend(self) -> AsyncIterator[LLMBackend]:
        """Against a server that answers."""
        async for backend in _against(says(ANSWER)):
            yield backend

    @pytest.fixture
    async def silent_backend(self) -> AsyncIterator[LLMBackend]:
        """Against a server that never answers."""
        async for backend in _against(sends(Reply(kind="hang"))):
            yield backend

    @pytest.fixture
    async def failing_backend(self) -> AsyncIterator[LLMBackend]:
        """Against a server that is broken."""
        async for backend in _against(fails(500)):
            yield backend

    @pytest.fixture
    async def refused_backend(self) -> AsyncIterator[LLMBackend]:
        """Against a server that refuses the key."""
        async for backend in _against(fails(401)):
            yield backend


async def _against(answer: Answer) -> AsyncIterator[LLMBackend]:
    async with llm_stub(answer) as stub:
        spec = _backend("litellm")
        config = load_config(spec.config, {"models": [{"model": "openai/stub", "api_base": stub.url}]})
        backend = spec.factory(config, FakeServices(http=LoopbackHttp()))
        assert isinstance(backend, LiteLLMBackend)
        yield backend
        await backend.aclose()
        await asyncio.sleep(0)
