"""What a tenant sets to reach models through LiteLLM, and what the host makes of a tenant's keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from aiops_core import ConfigInvalid, ModelPrice, ModelRoute, PluginConfig, Secret

MODEL = r"^(openai/[A-Za-z0-9][A-Za-z0-9._:@+/-]*|(azure|anthropic)/[A-Za-z0-9][A-Za-z0-9._:@+-]*)$(?!\n)"
"""LiteLLM reads the start of a name as where to send the request; any other may lead to another host."""
OWN_ADDRESSES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
MOST_MODELS = 50


class ModelConfig(PluginConfig, frozen=True, kw_only=True):
    """One model and how to reach it. Without ``api_base`` the provider's own address applies."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern=MODEL,
            title="Model",
            description="anthropic/<name>, azure/<deployment> or openai/<name>; the last, with an API base, for any "
            "OpenAI-compatible server.",
        ),
    ]
    api_base: Annotated[
        Annotated[str, Meta(pattern="^https?://")] | None,
        Meta(title="API base", description="Address of the API, if not the provider's own; the operator must list it."),
    ] = None
    api_version: Annotated[
        str | None, Meta(title="API version", description="Only some providers, such as Azure, ask for one.")
    ] = None
    api_key: Annotated[Secret | None, Meta(title="API key")] = None
    timeout: Annotated[float, Meta(gt=0, le=600, title="Timeout", description="Seconds one call may take.")] = 60.0
    provider: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(title="Provider", description="What metrics and steps call where it is."),
    ] = None
    price: Annotated[
        ModelPrice | None, Meta(title="Price", description="USD per million tokens, if the library's list is wrong.")
    ] = None

    @property
    def protocol(self) -> str:
        """How the server is spoken to."""
        return self.model.partition("/")[0]

    @property
    def shown(self) -> str:
        """What people call it: with a provider's key they enter the name alone."""
        return self.model.partition("/")[2] if self.provider else self.model

    @property
    def place(self) -> str:
        """What metrics and steps call where the model is."""
        return self.provider or self.protocol


class LiteLLMConfig(PluginConfig, frozen=True, kw_only=True):
    """The models to ask, best first: the next one is asked when one fails."""

    models: Annotated[
        tuple[ModelConfig, ...],
        Meta(min_length=1, max_length=MOST_MODELS, title="Models, in the order they are asked"),
    ]


def address_of(model: ModelConfig) -> str:
    """Return where requests for the model go.

    Raises:
        ConfigInvalid: It has no API base, and its provider no address of its own.
    """
    address = model.api_base or OWN_ADDRESSES.get(model.protocol)
    if address is None:
        raise ConfigInvalid(
            f"models: {model.model} needs an api_base, because {model.protocol} has no address of its own."
        )
    return address


def addresses(config: LiteLLMConfig) -> Iterator[str]:
    """Yield the address of every model.

    Raises:
        ConfigInvalid: One has none.
    """
    return (address_of(model) for model in config.models)


def from_routes(routes: Sequence[ModelRoute]) -> LiteLLMConfig:
    """Return the configuration that asks these models in their order."""
    return LiteLLMConfig(models=tuple(_model(route) for route in routes[:MOST_MODELS]))


def _model(route: ModelRoute) -> ModelConfig:
    return ModelConfig(
        model=f"{route.protocol}/{route.model}",
        api_base=route.address,
        api_version=route.api_version,
        api_key=route.key,
        provider=route.provider,
        price=route.price,
    )
