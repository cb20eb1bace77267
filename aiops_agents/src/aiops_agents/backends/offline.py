"""The backend without a model: it quotes the evidence that fits the ticket. Deterministic, no network."""

from __future__ import annotations

import time

from aiops_agents import extract
from aiops_core import (
    BackendServices,
    Completion,
    CompletionRequest,
    LLMAttempt,
    LLMBackend,
    NoConfig,
    NoteDraft,
)
from aiops_core.ticketing import Health

MODEL = "offline"


class OfflineBackend(LLMBackend):
    """Answers every request from its evidence alone, in milliseconds."""

    calls = "none"

    async def complete(self, request: CompletionRequest) -> Completion:
        """Quote what fits the message whose purpose is ``ticket``."""
        start = time.monotonic()
        ticket = "\n".join(m.content for m in request.messages if m.purpose == "ticket")
        evidence = extract.numbered(request.evidence)
        sections = (
            extract.summary(ticket, evidence),
            extract.similar(evidence),
            extract.documentation(ticket, evidence),
            extract.systems(evidence),
            extract.next_steps(ticket, evidence),
        )
        attempt = LLMAttempt(model=MODEL, milliseconds=(time.monotonic() - start) * 1000)
        return Completion(draft=NoteDraft(tuple(s for s in sections if s)), model=MODEL, attempts=(attempt,))

    async def check_health(self) -> Health:
        """There is nothing that could fail."""
        return Health(status="ok", detail="Quotes the tenant's own records; no model is asked.")


def make(_config: NoConfig, _services: BackendServices) -> OfflineBackend:
    """Make the backend."""
    return OfflineBackend()
