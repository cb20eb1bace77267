"""The contract of an LLM backend: a way to reach language models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from aiops_core.config import Secret
from aiops_core.ticketing import Health
from aiops_core.tickets import Evidence, NoteDraft

MessagePurpose = Literal["instructions", "ticket", "evidence", "question"]
ModelProtocol = Literal["openai", "azure", "anthropic"]
"""How a server is spoken to: OpenAI's chat completions, the same at an Azure resource, Anthropic's messages."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One chat message. ``purpose`` tells instructions from quoted, untrusted data."""

    role: Literal["system", "user", "assistant"]
    content: str
    purpose: MessagePurpose = "question"


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletionRequest:
    """What an agent asks.

    ``messages`` hold everything a chat model needs, the numbered evidence included; ``evidence`` is the same
    evidence as records (citation 1 is ``evidence[0]``) for backends that do not chat. ``output_schema`` is the
    JSON schema of the answer. ``timeout`` is in seconds for all attempts together.
    """

    messages: tuple[Message, ...]
    evidence: tuple[Evidence, ...]
    output_schema: dict[str, Any]
    timeout: float
    max_tokens: int = 1200
    meter: CallMeter | None = None
    """Set by the host: a backend that is ``metered`` enters it for every call to a model."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens and money of a completion, all attempts together. ``cost_usd`` is ``None`` when the price is unknown."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


class LLMAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call to one model: how long it took and, if it failed, why. ``provider`` is the operator's name for it."""

    model: str
    milliseconds: float
    error: str | None = None
    provider: str | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A backend's answer. ``model`` is the one that answered, after every failed one in ``attempts``."""

    draft: NoteDraft
    model: str
    usage: Usage = Usage()
    attempts: tuple[LLMAttempt, ...] = ()


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs, in USD per million tokens."""

    input: float
    output: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRoute:
    """One model a tenant may ask: where the operator's catalogue says it is, and the tenant's key for that place.

    ``price`` is the operator's; without one the backend's own list counts.
    """

    provider: str
    protocol: ModelProtocol
    model: str
    address: str
    key: Secret | None
    api_version: str | None = None
    price: ModelPrice | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCall:
    """A call that is about to be made, and the most it can cost. ``usd`` is ``None`` when the price is unknown."""

    provider: str
    model: str
    prompt_tokens: int
    max_tokens: int
    usd: float | None = None


class CallRecord(Protocol):
    """What became of a call. One that says nothing is charged with the most it could cost."""

    def used(self, usage: Usage) -> None:
        """The model answered; this is what it charges."""
        ...

    def failed(self, sentence: str, *, charged: bool, provider_fault: bool) -> None:
        """The call failed.

        Args:
            sentence: Why, to follow the model's name.
            charged: False when the provider certainly charges nothing.
            provider_fault: Whether other calls to the provider would fail as well.
        """
        ...


class CallMeter(Protocol):
    """Stands before every call to a model: keeps budgets, leaves out providers that fail, shows what was tried."""

    @property
    def backoff(self) -> tuple[float, ...]:
        """Seconds to wait before each further try at one model."""
        ...

    def call(self, call: ModelCall) -> AbstractAsyncContextManager[CallRecord]:
        """Stand around one call.

        Raises:
            CallRefused: The call must not be made; another model may be.
        """
        ...


class LLMBackend(ABC):
    """One tenant's way to its models, made by its spec's factory."""

    calls: ClassVar[Literal["metered", "unmetered", "none"]] = "unmetered"
    """``metered``: enters the request's meter for each call to a model. ``unmetered``: the host meters the completion
    as one call. ``none``: asks no model, and needs no budget."""

    @abstractmethod
    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer within ``request.timeout`` seconds; read an unstructured answer with ``notes.read_draft``.

        Raises:
            LLMUnavailable: No model answered in time.
            LLMRefused: Every model refused for good.
        """

    @abstractmethod
    async def check_health(self) -> Health:
        """Say in a sentence whether a completion would work; a real, minimal call where one is cheap."""

    async def aclose(self) -> None:  # noqa: B027 - optional: most hold nothing
        """Release what the object holds."""
