"""The backend that reaches any provider's models through LiteLLM, in the tenant's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from aiops_agents.backends import environment, library
from aiops_agents.backends.binding import OnlyTo
from aiops_agents.backends.config import OWN_ADDRESSES, LiteLLMConfig, ModelConfig, address_of
from aiops_agents.backends.failures import Failure, explained, timed_out
from aiops_agents.backends.metering import UNMETERED, call_of, usage_of
from aiops_core import (
    BackendServices,
    CallMeter,
    CallRefused,
    Completion,
    CompletionRequest,
    LLMAttempt,
    LLMBackend,
    LLMRefused,
    LLMUnavailable,
    Message,
    read_draft,
)
from aiops_core.ticketing import Health

NO_KEY = "none"
"""Sent where no key is set, so that none is taken from the environment."""
MAX_ANSWER_CHARS = 64 * 1024
"""Read of an answer; the largest note has a tenth of it."""

_HEALTH_SECONDS = 15.0
_HEALTH_TOKENS = 16
_MIN_SECONDS = 0.2
_NO_TIME = Failure(sentence="was not asked because no time was left", again=True)
_NOT_UNDERSTOOD = (400, 404, 415, 422, 501)

Pause = Callable[[float], Awaitable[None]]


class _Failed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


@dataclass(slots=True)
class _Asking:
    """One request on its way from model to model."""

    request: CompletionRequest
    meter: CallMeter
    attempts: list[LLMAttempt] = field(default_factory=list)


class LiteLLMBackend(LLMBackend):
    """Asks one model after the other; each failure that may pass is tried again after the meter's waits, 2, 4 and 8 s.

    The one place where calls are repeated and models follow each other; the meter only lets calls be made or not.
    """

    calls = "metered"

    def __init__(self, config: LiteLLMConfig, services: BackendServices, *, pause: Pause = asyncio.sleep) -> None:
        """Take the configuration; nothing is loaded or connected yet."""
        environment.forget()
        self._models = config.models
        self._log, self._http = services.log, services.http
        self._pause = pause
        self._without_format: set[int] = set()
        self._schema: dict[str, Any] | None = None
        self._formatted: dict[str, Any] = {}

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask the models in order until one answers; an earlier one leaves time for those after it."""
        end = time.monotonic() + request.timeout
        await _loaded_within(request.timeout)
        asking = _Asking(request, request.meter or UNMETERED)
        failures: list[tuple[ModelConfig, Failure]] = []
        for index, model in enumerate(self._models):
            now = time.monotonic()
            until = now + (end - now) / (len(self._models) - index)
            try:
                response = await self._persist(index, asking, until)
            except _Failed as failed:
                failures.append((model, failed.failure))
                continue
            return _completion(response, model, asking.attempts)
        raise _gave_up(failures)

    async def check_health(self) -> Health:
        """Ask the first model that answers for one word."""
        try:
            await _loaded_within(_HEALTH_SECONDS * 2)
        except LLMUnavailable as error:
            return Health(status="failed", detail=str(error))
        failures: list[str] = []
        reached = False
        for model in self._models:
            asked = _parameters(model, (Message(role="user", content="Answer with the word ok."),), _HEALTH_TOKENS)
            try:
                await self._call(model, asked, min(_HEALTH_SECONDS, model.timeout))
            except _Failed as failed:
                failures.append(f"{model.shown} {failed.failure.tested or failed.failure.sentence}")
                reached = reached or failed.failure.reached
                continue
            return Health(
                status="degraded" if failures else "ok", detail="; ".join([*failures, f"{model.shown} answers"]) + "."
            )
        return Health(status="failed", detail="; ".join(failures) + ".", reached=reached)

    async def _persist(self, index: int, asking: _Asking, until: float) -> Any:
        """Ask one model until it answers, refuses for good or its time is over."""
        for wait in (*asking.meter.backoff, None):
            try:
                return await self._ask(index, asking, until)
            except _Failed as failed:
                failure = failed.failure
                delay = failure.retry_after if failure.retry_after is not None else wait
                helps = failure.again and failure.soon
                if not helps or wait is None or delay is None or time.monotonic() + delay >= until:
                    raise
            await self._pause(delay)
        raise AssertionError("the last try returns or raises")

    async def _ask(self, index: int, asking: _Asking, until: float) -> Any:
        """Ask once; a server that does not understand ``response_format`` is asked again without it."""
        model, request = self._models[index], asking.request
        asked = _parameters(model, request.messages, request.max_tokens)
        formatted = index not in self._without_format and _takes_schema(model)
        if formatted:
            response_format = {"response_format": self._format(request.output_schema)}
            try:
                return await self._timed(model, {**asked, **response_format}, until, asking)
            except _Failed as failed:
                if failed.failure.status not in _NOT_UNDERSTOOD:
                    raise
        response = await self._timed(model, asked, until, asking)
        if formatted:
            self._without_format.add(index)
        return response

    def _format(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema as the library takes it, made once for an agent that always sends the same object."""
        if schema is not self._schema:
            described = {"name": "note", "strict": True, "schema": _strict(schema)}
            self._schema, self._formatted = schema, {"type": "json_schema", "json_schema": described}
        return self._formatted

    async def _timed(self, model: ModelConfig, asked: dict[str, Any], until: float, asking: _Asking) -> Any:
        start = time.monotonic()
        error: str | None = None
        try:
            return await self._metered(model, asked, until, asking.meter)
        except _Failed as failed:
            error = failed.failure.sentence
            self._log.info("model %s %s", model.model, error)
            raise
        finally:
            elapsed = round((time.monotonic() - start) * 1000, 1)
            attempt = LLMAttempt(model=model.model, milliseconds=elapsed, error=error, provider=model.provider)
            asking.attempts.append(attempt)

    async def _metered(self, model: ModelConfig, asked: dict[str, Any], until: float, meter: CallMeter) -> Any:
        if until - time.monotonic() < _MIN_SECONDS:
            raise _Failed(_NO_TIME)
        try:
            async with meter.call(call_of(model, asked)) as record:
                try:
                    response = await self._call(model, asked, min(model.timeout, until - time.monotonic()))
                except _Failed as failed:
                    failure = failed.failure
                    record.failed(failure.sentence, charged=failure.charged, provider_fault=failure.provider_fault)
                    raise
                record.used(usage_of(model, response))
                return response
        except CallRefused as refused:
            raise _Failed(Failure(sentence=str(refused), again=True, soon=False)) from None

    async def _call(self, model: ModelConfig, asked: dict[str, Any], seconds: float) -> Any:
        if seconds < _MIN_SECONDS:
            raise _Failed(_NO_TIME)
        litellm = library.loaded()
        try:
            address = address_of(model)
            async with asyncio.timeout(seconds), library.one_call(self, OnlyTo(self._http, address)):
                with _key(model) as key:
                    return await litellm.acompletion(**asked, api_key=key, timeout=seconds)
        except TimeoutError:
            raise _Failed(timed_out(seconds)) from None
        except Exception as error:  # isolation: whatever a provider's client raises may quote its key
            raise _Failed(explained(error, seconds)) from None


async def _loaded_within(seconds: float) -> None:
    if library.is_loaded():
        return
    try:
        async with asyncio.timeout(seconds):
            await library.load()
    except TimeoutError:
        raise LLMUnavailable("The model library was not loaded in time.") from None


def _key(model: ModelConfig) -> AbstractContextManager[str]:
    return nullcontext(NO_KEY) if model.api_key is None else model.api_key.open()


def _parameters(model: ModelConfig, messages: tuple[Message, ...], max_tokens: int) -> dict[str, Any]:
    return {
        "model": model.model,
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        # Never left to the library, which would take one from the environment.
        "api_base": address_of(model),
        "api_version": model.api_version,
        "max_tokens": max_tokens,
        "temperature": 0,
        "num_retries": 0,
        "max_retries": 0,
    }


def _takes_schema(model: ModelConfig) -> bool:
    """A server of the operator's own list is simply tried; the library knows about the providers' own."""
    return address_of(model) not in OWN_ADDRESSES.values() or bool(
        library.loaded().supports_response_schema(model=model.model)
    )


def _strict(schema: Any) -> Any:
    """Return the schema with every property required and no other allowed, as strict structured outputs demand."""
    if isinstance(schema, list):
        return [_strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: _strict(value) for key, value in schema.items() if key not in {"default", "title"}}
    if copy.get("type") == "object" and "properties" in copy:
        copy |= {"required": list(copy["properties"]), "additionalProperties": False}
    return copy


def _completion(response: Any, model: ModelConfig, attempts: list[LLMAttempt]) -> Completion:
    text = (response.choices[0].message.content or "")[:MAX_ANSWER_CHARS]
    return Completion(
        draft=read_draft(text), model=model.model, usage=usage_of(model, response), attempts=tuple(attempts)
    )


def _gave_up(failures: list[tuple[ModelConfig, Failure]]) -> LLMUnavailable | LLMRefused:
    said = "; ".join(f"{model.shown} {failure.sentence}" for model, failure in failures) + "."
    if not any(failure.again for _, failure in failures):
        return LLMRefused(said)
    waits = [f.retry_after for _, f in failures if f.retry_after is not None]
    return LLMUnavailable(said, retry_after=min(waits, default=None))
