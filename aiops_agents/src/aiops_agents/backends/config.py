"""What a tenant sets to reach models through LiteLLM."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from aiops_core import PluginConfig, Secret


class ModelConfig(PluginConfig, frozen=True, kw_only=True):
    """One model and how to reach it. Without ``api_base`` and ``api_key`` the provider's own defaults apply."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            title="Model",
            description="LiteLLM's name of it, such as anthropic/claude-sonnet-4-5, azure/<deployment>, ollama/<name>; "
            "openai/<name> with an API base for any OpenAI-compatible server.",
        ),
    ]
    api_base: Annotated[
        Annotated[str, Meta(pattern="^https?://")] | None,
        Meta(title="API base", description="Address of the API, if not the provider's own."),
    ] = None
    api_version: Annotated[
        str | None, Meta(title="API version", description="Only some providers, such as Azure, ask for one.")
    ] = None
    api_key: Annotated[Secret | None, Meta(title="API key")] = None
    timeout: Annotated[float, Meta(gt=0, le=600, title="Timeout", description="Seconds one call may take.")] = 60.0


class LiteLLMConfig(PluginConfig, frozen=True, kw_only=True):
    """The models to ask, best first: the next one is asked when one fails."""

    models: Annotated[
        tuple[ModelConfig, ...], Meta(min_length=1, max_length=10, title="Models, in the order they are asked")
    ]
