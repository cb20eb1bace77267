# ruff: noqa: D102 - the docstring of each broken class says what its one method does
"""The contract of LLM backends accepts a sound backend and refuses broken ones."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from aiops_core import (
    Claim,
    Completion,
    CompletionRequest,
    Health,
    LLMAttempt,
    LLMBackend,
    LLMRefused,
    LLMUnavailable,
    NoteDraft,
    NoteSection,
    Usage,
)
from aiops_core.testing import checks
from aiops_core.testing.llm import LLMBackendContract, LLMBackendFaultsContract


class Echo(LLMBackend):
    """Answers with the titles of the evidence; its service can be told to be silent, failing or refusing."""

    def __init__(self, service: str = "well") -> None:
        """Take the state of the service."""
        self.service = service

    async def complete(self, request: CompletionRequest) -> Completion:
        try:
            async with asyncio.timeout(request.timeout):
                await self.served()
        except TimeoutError:
            raise LLMUnavailable("No answer in time.") from None
        return Completion(draft=self.draft(request), model="echo", usage=Usage(prompt_tokens=3))

    async def served(self) -> None:
        if self.service == "silent":
            await asyncio.Event().wait()
        if self.service == "failing":
            raise LLMUnavailable
        if self.service == "refusing":
            raise LLMRefused

    def draft(self, request: CompletionRequest) -> NoteDraft:
        cited = tuple(Claim(e.title, (n,)) for n, e in enumerate(request.evidence, 1))
        return NoteDraft((NoteSection("summary", cited), NoteSection("next_steps", (Claim("Ask for details."),))))

    async def check_health(self) -> Health:
        return Health(status="ok" if self.service == "well" else "failed", detail=f"The service is {self.service}.")


class EchoSubject(LLMBackendContract, LLMBackendFaultsContract):
    """The backend, or a variant of it."""

    made: type[Echo] = Echo

    @pytest.fixture
    def backend(self) -> LLMBackend:
        """Return it with a service that is well."""
        return self.made()

    @pytest.fixture
    def silent_backend(self) -> LLMBackend:
        """Return it with a silent service."""
        return self.made("silent")

    @pytest.fixture
    def failing_backend(self) -> LLMBackend:
        """Return it with a failing service."""
        return self.made("failing")

    @pytest.fixture
    def refused_backend(self) -> LLMBackend:
        """Return it with a refusing service."""
        return self.made("refusing")


class TestEcho(EchoSubject):
    """The sound backend fulfils the contract."""


class Speechless(Echo):
    """Says nothing."""

    def draft(self, request: CompletionRequest) -> NoteDraft:
        return NoteDraft(())


class Inventing(Echo):
    """Cites evidence there is not, and nothing else."""

    def draft(self, request: CompletionRequest) -> NoteDraft:
        return NoteDraft((NoteSection("summary", (Claim("It is known.", (99,)),)),))


class Meddling(Echo):
    """Fills in the evidence, which is the agent's."""

    def draft(self, request: CompletionRequest) -> NoteDraft:
        return msgspec.structs.replace(super().draft(request), evidence=request.evidence)


class Untyped(Echo):
    """Answers numbers as text."""

    def draft(self, request: CompletionRequest) -> NoteDraft:
        return NoteDraft((NoteSection("summary", (Claim("A claim.", ("1",)),)),))  # type: ignore[arg-type]


class Crashing(Echo):
    """Stumbles over evidence it does not expect, or over none."""

    def draft(self, request: CompletionRequest) -> NoteDraft:
        if request.evidence[0].title.startswith("Ignore"):
            raise ValueError(request.evidence[0].title)
        return super().draft(request)


class Gaining(Echo):
    """Reports an attempt that took less than no time."""

    async def complete(self, request: CompletionRequest) -> Completion:
        completion = await super().complete(request)
        return msgspec.structs.replace(completion, attempts=(LLMAttempt(model="echo", milliseconds=-1.0),))


class Patient(Echo):
    """Knows no timeout."""

    async def complete(self, request: CompletionRequest) -> Completion:
        await self.served()
        return await super().complete(request)


class Swallowing(Echo):
    """Answers although its service failed or refused."""

    async def served(self) -> None:
        return None


class Mistaken(Echo):
    """Takes a refusal for a failure."""

    async def served(self) -> None:
        try:
            await super().served()
        except LLMRefused:
            raise LLMUnavailable from None


class Healthy(Echo):
    """Says it is well whatever happens."""

    async def check_health(self) -> Health:
        return Health(status="ok", detail="Fine.")


class Sickly(Echo):
    """Says it has failed whatever happens."""

    async def check_health(self) -> Health:
        return Health(status="failed", detail="Down.")


class Once(Echo):
    """Can be closed once."""

    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("closed")
        self.closed = True


@pytest.mark.parametrize(
    ("broken", "test", "services"),
    [
        (Speechless, "test_completes_a_request", ["well"]),
        (Untyped, "test_completes_a_request", ["well"]),
        (Gaining, "test_completes_a_request", ["well"]),
        (Inventing, "test_cites_what_there_is", ["well"]),
        (Meddling, "test_draft_is_all_it_fills", ["well"]),
        (Crashing, "test_without_evidence", ["well"]),
        (Crashing, "test_hostile_evidence", ["well"]),
        (Crashing, "test_requests_may_overlap", ["refusing"]),
        (Patient, "test_no_time_left", ["silent"]),
        (Patient, "test_silence_is_unavailable", ["silent"]),
        (Swallowing, "test_silence_is_unavailable", ["silent"]),
        (Swallowing, "test_failure_is_unavailable", ["failing"]),
        (Swallowing, "test_refusal_is_refused", ["refusing"]),
        (Mistaken, "test_refusal_is_refused", ["refusing"]),
        (Healthy, "test_health_never_raises", ["failing", "refusing"]),
        (Sickly, "test_health_is_told", ["well"]),
        (Once, "test_close_may_be_repeated", ["well"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_broken_backend_is_refused(
    broken: type[Echo], test: str, services: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to break the contract makes the standard test meant for it fail."""
    monkeypatch.setattr(checks, "PATIENCE", 0.2)
    with pytest.raises((Exception, pytest.fail.Exception)):
        await getattr(EchoSubject(), test)(*(broken(service) for service in services))
