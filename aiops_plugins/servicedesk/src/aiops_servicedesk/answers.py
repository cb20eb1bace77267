"""What the answers of ServiceDesk Plus mean.

Success is judged by the body as well as by the HTTP status: refusals arrive with 200 too.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from aiops_core.errors import (
    AuthenticationFailed,
    EffectUnknown,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
)
from aiops_core.sanitise import clean_text
from aiops_core.services import HttpResponse
from aiops_servicedesk.wire import (
    FAILURE,
    FORBIDDEN,
    INTERNAL,
    NOT_FOUND,
    SUCCESS,
    SUCCESS_WORD,
    THROTTLED,
    UNAUTHENTICATED,
    UNAUTHENTICATED_WORDS,
    ResponseStatus,
    StatusMessage,
    Verdict,
    decode,
)

LONGEST_WAIT: Final = 3600.0
MAX_REASON: Final = 300
MAX_DIGITS: Final = 9

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)


def read_answer(response: HttpResponse, answer: type[AnswerT], *, effect: bool) -> AnswerT:
    """Return the decoded body of a success.

    Raises:
        EffectUnknown: It is not what is expected, and the call may have been applied.
        TicketingUnavailable: It is not what is expected.
    """
    try:
        return decode(response.content, answer)
    except ValueError as error:
        raise _unreadable(str(error), effect=effect) from None


def _unreadable(reason: str, *, effect: bool) -> TicketingError:
    kind = EffectUnknown if effect else TicketingUnavailable
    return kind(f"ServiceDesk Plus gave an answer that cannot be read ({reason}); check base_url and portal.")


def failure_of(response: HttpResponse, *, effect: bool, now: datetime) -> TicketingError | None:
    """Return what an answer means, ``None`` for success."""
    http = response.status_code
    verdict = _verdict(response)
    reason = _reason(verdict) or f"HTTP {http}"
    wait = retry_after_of(response, now)
    if http >= HTTPStatus.INTERNAL_SERVER_ERROR or http == HTTPStatus.REQUEST_TIMEOUT:
        return _undecided(reason, effect=effect, wait=wait)
    if http >= HTTPStatus.BAD_REQUEST:
        return _refusal(_codes(verdict) | {http}, reason, effect=effect, wait=wait)
    if http >= HTTPStatus.MULTIPLE_CHOICES:
        return TicketingRefused("ServiceDesk Plus answers with a redirect; check base_url (https?) and portal.")
    if http == HTTPStatus.NO_CONTENT:
        return None
    return _judged(verdict, reason, effect=effect, wait=wait)


def _judged(verdict: list[ResponseStatus], reason: str, *, effect: bool, wait: float | None) -> TicketingError | None:
    """Return what the body of a 2xx means."""
    if not verdict:
        return _unreadable("no response_status", effect=effect)
    if all(_succeeded(status) for status in verdict):
        return None
    if any(_failed(status) for status in verdict):
        return _refusal(_codes(verdict), reason, effect=effect, wait=wait)
    return _undecided(reason, effect=effect, wait=None)


def _refusal(codes: set[int], reason: str, *, effect: bool, wait: float | None) -> TicketingError:
    """Return what the codes of a refusal mean; its words help where the product gives no code of its own."""
    if codes & THROTTLED:
        return TicketingUnavailable(f"ServiceDesk Plus asks to wait: {reason}.", retry_after=wait)
    if codes & INTERNAL:
        return _undecided(reason, effect=effect, wait=wait)
    if codes & NOT_FOUND:
        return TicketNotFound(f"ServiceDesk Plus has no such ticket, or hides it from the technician: {reason}.")
    if codes & UNAUTHENTICATED or _is_about_credentials(reason):
        return AuthenticationFailed(f"ServiceDesk Plus refuses the credentials: {reason}.")
    if codes & FORBIDDEN:
        return TicketingRefused(f"The technician's role does not allow this: {reason}.")
    return TicketingRefused(f"ServiceDesk Plus refuses: {reason}.")


def _undecided(reason: str, *, effect: bool, wait: float | None) -> TicketingError:
    """Return the error of an answer that does not say whether the call was applied."""
    if effect:
        return EffectUnknown(f"ServiceDesk Plus failed while writing: {reason}.")
    return TicketingUnavailable(f"ServiceDesk Plus failed: {reason}.", retry_after=wait)


def _succeeded(status: ResponseStatus) -> bool:
    code = _number(status.status_code)
    return code == SUCCESS or (code is None and status.status == SUCCESS_WORD)


def _failed(status: ResponseStatus) -> bool:
    return (_number(status.status_code) or 0) >= FAILURE


def _verdict(response: HttpResponse) -> list[ResponseStatus]:
    try:
        found = decode(response.content, Verdict).response_status
    except (ValueError, RecursionError):
        return []
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _codes(verdict: list[ResponseStatus]) -> set[int]:
    """Return the codes of a refusal's messages and, where the product puts the cause there, of the verdict itself."""
    messages = [m for status in verdict for m in status.messages or () if isinstance(m, StatusMessage)]
    found = [_number(m.status_code) for m in messages] + [_number(status.status_code) for status in verdict]
    return {code for code in found if code is not None}


def _number(code: int | str | None) -> int | None:
    if isinstance(code, str):
        return int(code) if code.isascii() and code.isdigit() and len(code) <= MAX_DIGITS else None
    return code


def _reason(verdict: list[ResponseStatus]) -> str:
    """Return the vendor's messages with the fields they name, cleaned and bounded."""
    lines = [_message(m) for status in verdict if not _succeeded(status) for m in status.messages or ()]
    return clean_text("; ".join(line for line in lines if line))[:MAX_REASON].rstrip(".")


def _message(message: StatusMessage | str) -> str:
    if isinstance(message, str):
        return message
    where = f" (field {message.field})" if message.field else ""
    words = message.message or (f"code {message.status_code}" if message.status_code is not None else "")
    return f"{words}{where}" if words else ""


def _is_about_credentials(reason: str) -> bool:
    words = reason.casefold()
    return any(word in words for word in UNAUTHENTICATED_WORDS)


def is_throttled(response: HttpResponse) -> bool:
    """Return whether the answer asks to wait."""
    return bool((_codes(_verdict(response)) | {response.status_code}) & THROTTLED)


def retry_after_of(response: HttpResponse, now: datetime) -> float | None:
    """Return ``Retry-After`` in seconds, given as such or as a date, at most an hour."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        return min(float(value), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, IndexError):
        return None
    if until.tzinfo is None:
        return None
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT)
