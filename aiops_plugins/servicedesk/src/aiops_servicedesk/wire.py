"""ServiceDesk Plus API v3 as the vendor spells it: every word, code and path in one place.

Source: the vendor's documentation of the on-premises, MSP and cloud editions. Fields we do not read are
ignored; fields that one edition sends as text and another as an object are taken as either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from aiops_servicedesk.config import Edition

ACCEPT: Final = "application/vnd.manageengine.sdp.v3+json"
FORM: Final = "application/x-www-form-urlencoded"
API: Final = "/api/v3"
MAX_ROWS: Final = 100

SUCCESS: Final = 2000
SUCCESS_WORD: Final = "success"
FAILURE: Final = 4000  # between the two lies 3000, done in part
UNAUTHENTICATED: Final = frozenset({401})
UNAUTHENTICATED_WORDS: Final = ("unauthori", "authentication", "authtoken", "technician key", "oauth", "invalid token")
FORBIDDEN: Final = frozenset({403, 4002})
NOT_FOUND: Final = frozenset({404, 4007})
THROTTLED: Final = frozenset({429, 4015})
INTERNAL: Final = frozenset({4004})

NOTE_KEY: Final[Mapping[Edition, str]] = {"on-prem": "note", "msp": "note", "cloud": "request_note"}
ACCOUNTS: Final = {
    "com": "https://accounts.zoho.com",
    "eu": "https://accounts.zoho.eu",
    "in": "https://accounts.zoho.in",
    "cn": "https://accounts.zoho.com.cn",
    "au": "https://accounts.zoho.com.au",
    "jp": "https://accounts.zoho.jp",
    "ca": "https://accounts.zohocloud.ca",
    "uk": "https://accounts.zoho.uk",
    "sa": "https://accounts.zoho.sa",
}
TOKEN_PATH: Final = "/oauth/v2/token"  # noqa: S105 (an address, not a secret)
TOKEN_THROTTLED: Final = "too many requests"  # noqa: S105 (Zoho's words in error_description)


DecodedT = TypeVar("DecodedT")


class StatusMessage(msgspec.Struct, frozen=True):
    """One line of a refusal."""

    status_code: int | str | None = None
    message: str | None = None
    field: str | None = None


class ResponseStatus(msgspec.Struct, frozen=True):
    """The verdict in a body: 2000 done, 4000 failed."""

    status_code: int | str | None = None
    status: str | None = None
    messages: list[StatusMessage | str] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """The part every answer has; lists carry a list of verdicts."""

    response_status: ResponseStatus | list[ResponseStatus] | None = None


class Named(msgspec.Struct, frozen=True):
    """A person, status, priority, site or account."""

    id: str | int | None = None
    name: str | None = None
    internal_name: str | None = None
    email_id: str | None = None
    in_progress: bool | None = None


class Moment(msgspec.Struct, frozen=True):
    """A time: ``value`` is milliseconds since 1970 as text."""

    value: str | int | None = None
    display_value: str | None = None


class ResolutionText(msgspec.Struct, frozen=True):
    """What solved a ticket, as HTML."""

    content: str | None = None


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket; rows of a list have few of these fields."""

    id: str | int
    display_id: str | int | None = None
    subject: str | None = None
    description: str | None = None
    status: Named | str | None = None
    priority: Named | str | None = None
    category: Named | str | None = None
    subcategory: Named | str | None = None
    item: Named | str | None = None
    requester: Named | None = None
    technician: Named | None = None
    site: Named | str | None = None
    account: Named | str | None = None
    resolution: ResolutionText | str | None = None
    created_time: Moment | None = None
    last_updated_time: Moment | None = None
    resolved_time: Moment | None = None
    completed_time: Moment | None = None


class NoteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A note; editions differ in the names of author and time, and lists have no description."""

    id: str | int
    description: str | None = None
    added_by: Named | None = None
    created_by: Named | None = None
    added_time: Moment | None = None
    created_time: Moment | None = None


class ListInfo(msgspec.Struct, frozen=True):
    """Where in a list an answer stands."""

    has_more_rows: bool = False
    row_count: int | str | None = None


class RequestAnswer(msgspec.Struct, frozen=True):
    """``GET /requests/{id}``."""

    request: RequestRecord


class RequestsAnswer(msgspec.Struct, frozen=True):
    """``GET /requests``."""

    requests: list[RequestRecord]
    list_info: ListInfo = ListInfo()


class ResolutionAnswer(msgspec.Struct, frozen=True):
    """``GET /requests/{id}/resolutions``; a ticket without a resolution answers with none or an empty one."""

    resolution: ResolutionText | None = None


class NoteAnswer(msgspec.Struct, frozen=True):
    """``GET|POST /requests/{id}/notes…``: on-premises and MSP say ``note``, cloud ``request_note``."""

    note: NoteRecord | None = None
    request_note: NoteRecord | None = None

    @property
    def record(self) -> NoteRecord | None:
        """The note under whichever name it came."""
        return self.note or self.request_note


class NotesAnswer(msgspec.Struct, frozen=True):
    """``GET /requests/{id}/notes``."""

    notes: list[NoteRecord] | None = None
    request_notes: list[NoteRecord] | None = None
    list_info: ListInfo = ListInfo()

    @property
    def records(self) -> list[NoteRecord] | None:
        """The notes under whichever name they came; ``None`` when the answer neither has them nor counts none."""
        found = self.notes if self.notes is not None else self.request_notes
        return [] if found is None and str(self.list_info.row_count) == "0" else found


class TokenAnswer(msgspec.Struct, frozen=True):
    """``POST /oauth/v2/token``; refusals arrive with HTTP 200 too."""

    access_token: str | None = None
    expires_in: int = 3600
    error: str | None = None
    error_description: str | None = None


def decode(content: bytes, kind: type[DecodedT]) -> DecodedT:
    """Return a JSON body as ``kind``; bytes that are no UTF-8 and halves of characters become question marks.

    Raises:
        ValueError: It is no JSON or has other types.
        RecursionError: It is nested too deeply.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError:
        raise
    except ValueError:
        text = json.dumps(json.loads(content.decode(errors="replace")), ensure_ascii=False)
        return msgspec.json.decode(text.encode(errors="replace"), type=kind)


def note_input(edition: Edition, description: str) -> dict[str, Any]:
    """Return the input data of a note that nobody but technicians sees and nobody is notified of."""
    return {
        NOTE_KEY[edition]: {
            "description": description,
            "show_to_requester": False,
            "notify_technician": False,
            "mark_first_response": False,
            "add_to_linked_requests": False,
        }
    }


def page_input(start: int, rows: int) -> dict[str, Any]:
    """Return the input data that asks for one page; rows are counted from 1."""
    return {"list_info": {"row_count": max(1, min(rows, MAX_ROWS)), "start_index": start}}


def search_input(start: int, rows: int, *, after_ms: int | None, statuses: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the input data that asks for one page of tickets, oldest update first."""
    criteria: list[dict[str, Any]] = []
    if after_ms is not None:
        criteria.append({"field": "last_updated_time", "condition": "greater than", "value": str(after_ms)})
    if statuses is not None:
        criteria.append(
            {"field": "status.name", "condition": "is", "values": list(statuses), "logical_operator": "AND"}
        )
    asked = page_input(start, rows)
    asked["list_info"] |= {"sort_field": "last_updated_time", "sort_order": "asc"}
    if criteria:
        asked["list_info"]["search_criteria"] = criteria
    return asked
