"""What a failed call to a model means: one plain sentence, and whether to try again. Provider text is never shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from aiops_agents.backends.transport import AnswerTooLong
from aiops_core import HttpFailed

_TOO_EARLY = (HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_THIS_REQUEST = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_GATEWAY_GAVE_UP = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)
"""The model behind it may have answered."""
_SENTENCES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "refused the request as invalid (HTTP 400)",
    HTTPStatus.UNAUTHORIZED: "refused the API key (HTTP 401)",
    HTTPStatus.PAYMENT_REQUIRED: "has no credit left (HTTP 402)",
    HTTPStatus.FORBIDDEN: "does not permit this key to use it (HTTP 403)",
    HTTPStatus.NOT_FOUND: "is not known there: check the model's name (HTTP 404)",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "found the request too large (HTTP 413)",
    HTTPStatus.TOO_MANY_REQUESTS: "asked to wait because of too many requests (HTTP 429)",
}
_BY_TYPE = (
    ("ContextWindowExceededError", "found the request too long for it"),
    ("ContentPolicyViolationError", "refused the request by its content policy"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """``sentence`` reads on after the model's name; ``again`` says whether a retry can help, ``soon`` within seconds.

    ``tested`` is what a test says instead: it names hosts and addresses, which belong into no note.
    ``charged`` is False when the provider certainly charges nothing, ``provider_fault`` when only this request is to blame,
    ``reached`` when nothing answered.
    """

    sentence: str
    again: bool
    soon: bool = True
    charged: bool = False
    provider_fault: bool = True
    retry_after: float | None = None
    status: int | None = None
    tested: str | None = None
    reached: bool = True


def timed_out(seconds: float) -> Failure:
    """Return the failure of a call that took too long."""
    return Failure(sentence=f"did not answer in {seconds:.0f} s", again=True, charged=True, reached=False)


def explained(error: BaseException, seconds: float) -> Failure:
    """Explain an error of a call that was given ``seconds``."""
    causes = list(_chain(error))
    if any(isinstance(cause, AnswerTooLong) for cause in causes):
        return Failure(sentence="sent an answer without end or in an unexpected encoding", again=False, charged=True)
    if any(isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout) for cause in causes):
        return _unreached(causes)
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"Timeout", "APITimeoutError", "TimeoutError"}:
        return timed_out(seconds)
    if any(isinstance(cause, httpx.TransportError) for cause in causes):
        return Failure(sentence="broke the connection off", again=True, charged=True, reached=False)
    for name, sentence in _BY_TYPE:
        if name in names:
            return Failure(sentence=sentence, again=False, provider_fault=False)
    return _by_status(error)


def _unreached(causes: Sequence[BaseException]) -> Failure:
    refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    unsent = next((str(cause) for cause in causes if isinstance(cause, HttpFailed)), None)
    return Failure(
        sentence=f"could not be reached{': nothing listens at its address' if refused else ''}",
        again=True,
        soon=not refused,
        tested=f"could not be reached: {unsent}" if unsent else None,
        reached=False,
    )


def _by_status(error: BaseException) -> Failure:
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return Failure(sentence=f"failed ({type(error).__name__})", again=False, charged=True)
    if status == HTTPStatus.TOO_MANY_REQUESTS and "insufficient_quota" in str(error):
        return Failure(sentence="has no quota left (HTTP 429)", again=False, status=status)
    again = status in _TOO_EARLY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    sentence = _SENTENCES.get(status, f"failed with HTTP {status}")
    return Failure(
        sentence=sentence,
        again=again,
        retry_after=_retry_after(error),
        status=status,
        charged=status in _GATEWAY_GAVE_UP,
        provider_fault=status not in _THIS_REQUEST,
    )


def _retry_after(error: BaseException) -> float | None:
    for cause in _chain(error):
        headers: Any = getattr(getattr(cause, "response", None), "headers", None) or {}
        extra: Any = getattr(cause, "litellm_response_headers", None) or {}
        value = headers.get("retry-after") or extra.get("retry-after")
        if value:
            return _seconds(str(value))
    return None


def _seconds(value: str) -> float | None:
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):  # one per address of a name such as localhost
            for one in error.exceptions:
                yield from _chain(one)
        error = error.__cause__ or error.__context__
