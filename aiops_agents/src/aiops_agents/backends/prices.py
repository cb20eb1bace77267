"""What a model costs: the operator's price, else the one of the list LiteLLM brings along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from aiops_agents.backends.config import LiteLLMConfig, ModelConfig
from aiops_core import ModelPrice

MILLION = 1_000_000
_FILE = "model_prices_and_context_window_backup.json"

PriceList = Mapping[str, Mapping[str, Any]]


def price_in(prices: PriceList, model: ModelConfig) -> ModelPrice | None:
    """Return the operator's price, or the one of the library's bundled list; a model it does not list has none."""
    if model.price is not None:
        return model.price
    entry = prices.get(model.model) or prices.get(model.model.partition("/")[2]) or {}
    costs = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if None in costs:
        return None
    return ModelPrice(input=float(costs[0] or 0) * MILLION, output=float(costs[1] or 0) * MILLION)


def unpriced(config: LiteLLMConfig) -> Iterator[str]:
    """Yield the models whose price is not known. The library is not loaded for it, which would take 5 s."""
    return (model.model for model in config.models if price_in(bundled(), model) is None)


@cache
def bundled() -> PriceList:
    """Return the library's list as it lies in its distribution; reading it takes 20 ms."""
    spec = find_spec("litellm")
    assert spec is not None  # noqa: S101 - this distribution depends on it
    assert spec.origin is not None  # noqa: S101
    found: PriceList = msgspec.json.decode((Path(spec.origin).parent / _FILE).read_bytes())
    return found
