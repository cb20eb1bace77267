"""The most a call can cost, what it did cost, and the meter of calls that nobody meters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from aiops_agents.backends import library
from aiops_agents.backends.config import ModelConfig
from aiops_agents.backends.prices import MILLION, price_in
from aiops_core import CallMeter, CallRecord, ModelCall, ModelPrice, Usage

BACKOFF = (2.0, 4.0, 8.0)
PER_MESSAGE = 16
OVERHEAD = 500
"""Tokens providers add on their own, such as Anthropic's 346 for an answer in a structure."""


class Unmetered:
    """Lets every call be made: a test of a key, or a backend used outside of a run."""

    backoff = BACKOFF

    @asynccontextmanager
    async def call(self, call: ModelCall) -> AsyncIterator[CallRecord]:
        """Stand around one call."""
        yield _Forgetful()


class _Forgetful:
    def used(self, usage: Usage) -> None:
        """Forget it."""

    def failed(self, sentence: str, *, charged: bool, provider_fault: bool) -> None:
        """Forget it."""


UNMETERED: CallMeter = Unmetered()


def call_of(model: ModelConfig, asked: dict[str, Any]) -> ModelCall:
    """Return the most the call can cost: a token is at least one byte of what is sent."""
    sent = sum(len(m["content"].encode()) + PER_MESSAGE for m in asked["messages"])
    prompt = sent + len(msgspec.json.encode(asked.get("response_format"))) + OVERHEAD
    return ModelCall(
        provider=model.place,
        model=model.model,
        prompt_tokens=prompt,
        max_tokens=asked["max_tokens"],
        usd=_cost(price_in(library.loaded().model_cost, model), prompt, asked["max_tokens"]),
    )


def usage_of(model: ModelConfig, response: Any) -> Usage:
    """Return what an answer says it used. A price of the operator's goes before what the library worked out."""
    usage = getattr(response, "usage", None)
    prompt = getattr(usage, "prompt_tokens", 0) or 0
    completion = getattr(usage, "completion_tokens", 0) or 0
    listed = getattr(response, "_hidden_params", {}).get("response_cost")
    cost = _cost(model.price, prompt, completion) if model.price else listed
    return Usage(prompt_tokens=prompt, completion_tokens=completion, cost_usd=None if cost is None else float(cost))


def _cost(price: ModelPrice | None, prompt: int, completion: int) -> float | None:
    return None if price is None else (prompt * price.input + completion * price.output) / MILLION
