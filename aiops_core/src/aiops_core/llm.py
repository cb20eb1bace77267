"""The contract of an LLM backend: a way to reach language models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from aiops_core.ticketing import Health
from aiops_core.tickets import Evidence, NoteDraft

MessagePurpose = Literal["instructions", "ticket", "evidence", "question"]


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


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens and money of a completion, all attempts together. ``cost_usd`` is ``None`` when the price is unknown."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


class LLMAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call to one model: how long it took and, if it failed, why."""

    model: str
    milliseconds: float
    error: str | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A backend's answer. ``model`` is the one that answered, after every failed one in ``attempts``."""

    draft: NoteDraft
    model: str
    usage: Usage = Usage()
    attempts: tuple[LLMAttempt, ...] = ()


class LLMBackend(ABC):
    """One tenant's way to its models, made by its spec's factory."""

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
