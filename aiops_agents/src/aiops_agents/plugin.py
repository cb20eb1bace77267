"""What this distribution contributes; the factories import what is heavy."""

from __future__ import annotations

from collections.abc import Iterable

from aiops_agents.backends import offline
from aiops_agents.backends.config import LiteLLMConfig, addresses, from_routes
from aiops_agents.tools import asset_lookup, knowledge_base, similar_tickets
from aiops_core import (
    Agent,
    AgentServices,
    AgentSpec,
    BackendServices,
    LLMBackend,
    LLMBackendSpec,
    NoConfig,
    ToolSpec,
    hookimpl,
)

VERSION = "1"


@hookimpl
def aiops_register_tools() -> Iterable[ToolSpec]:
    """Contribute the tools that read the tenant's own records."""
    yield ToolSpec(
        name="similar_tickets",
        title="Similar tickets",
        description="Finds past tickets like a text, with their resolutions.",
        args=similar_tickets.SimilarTicketsArgs,
        factory=similar_tickets.make,
    )
    yield ToolSpec(
        name="knowledge_base",
        title="Documentation",
        description="Finds articles about a text.",
        args=knowledge_base.KnowledgeBaseArgs,
        factory=knowledge_base.make,
    )
    yield ToolSpec(
        name="asset_lookup",
        title="Assets",
        description="Finds assets by IP address, hostname or name.",
        args=asset_lookup.AssetLookupArgs,
        factory=asset_lookup.make,
    )


@hookimpl
def aiops_register_llm_backends() -> Iterable[LLMBackendSpec]:
    """Contribute the way to any provider's models, and the one that needs none."""
    yield LLMBackendSpec(
        name="litellm",
        title="Any provider, through LiteLLM",
        factory=_litellm,
        config=LiteLLMConfig,
        addresses=addresses,
        routes=from_routes,
        unpriced=_unpriced,
    )
    yield LLMBackendSpec(name="offline", title="Offline: quotes the evidence, no model", factory=offline.make)


@hookimpl
def aiops_register_agents() -> Iterable[AgentSpec]:
    """Contribute the agent that writes the first note."""
    yield AgentSpec(name="enhance", title="First note on a new ticket", version=VERSION, factory=_enhance)


def _litellm(config: LiteLLMConfig, services: BackendServices) -> LLMBackend:
    from aiops_agents.backends.litellm import LiteLLMBackend  # noqa: PLC0415  reached only when a tenant uses it

    return LiteLLMBackend(config, services)


def _unpriced(config: LiteLLMConfig) -> Iterable[str]:
    from aiops_agents.backends.prices import unpriced  # noqa: PLC0415  reads the library's list

    return unpriced(config)


def _enhance(_config: NoConfig, _services: AgentServices) -> Agent:
    from aiops_agents.enhance.graph import EnhanceAgent  # noqa: PLC0415  langgraph takes 2 s to import

    return EnhanceAgent()
