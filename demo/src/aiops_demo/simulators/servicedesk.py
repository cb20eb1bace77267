"""A strict stand-in for ManageEngine ServiceDesk Plus on-premises, MSP and cloud, API v3.

It takes notes as form-encoded ``input_data`` under the edition's own key only, wants the versioned ``Accept``,
knows no note text in lists, and removes comments, hidden markup and attributes from what it stores.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

from aiops_demo.simulators.base import Answer, Call, Json, Proof, Route, VendorSimulator, html_text
from aiops_demo.simulators.reading import Reading
from aiops_demo.simulators.servicedesk_html import reading_of, sanitised
from aiops_demo.simulators.servicedesk_lists import BadList, page

ACCEPT = "application/vnd.manageengine.sdp.v3+json"
FORM = "application/x-www-form-urlencoded"
TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 - an address, not a secret
NOTE_FLAGS = frozenset({
    "show_to_requester", "notify_technician", "mark_first_response", "add_to_linked_requests",
})  # fmt: skip
ROW_FIELDS = frozenset({
    "id", "display_id", "subject", "status", "priority", "requester", "technician", "site", "account", "created_time",
    "last_updated_time", "is_service_request", "has_notes",
})  # fmt: skip
EVENTS = {"opened": "created", "updated": "updated", "resolved": "resolved", "commented": "noted"}
MESSAGES = {
    400: (4001, "Given input is invalid"),
    401: (401, "UNAUTHORISED"),
    403: (4002, "User does not have permission to perform this operation"),
    404: (4007, "Invalid URL or resource not found"),
    405: (4007, "Method is not allowed for this URL"),
    408: (4004, "Request timed out"),
    429: (4015, "URL blocked as maximum access limit for the page is exceeded"),
}


class ServiceDeskSimulator(VendorSimulator):
    """ServiceDesk Plus in memory.

    On-premises and MSP take ``token`` as technician key. The cloud takes it as refresh token and as client secret
    of the client ``account``, and hands out access tokens that end after :attr:`access_seconds`.
    """

    editions = ("on-prem", "msp", "cloud")
    default_account: ClassVar[str] = "aiops"
    technician_id: ClassVar[str] = "4"
    access_seconds: float = 3600

    def __init__(self, *, token: str, edition: str | None = None, account: str | None = None) -> None:
        """Start with no tickets."""
        super().__init__(token=token, edition=edition, account=account)
        self._tickets: dict[str, Json] = {}
        self._notes: dict[str, list[Json]] = {}
        self._people: dict[str, str] = {self.account: self.technician_id}
        self._access: dict[str, float] = {}
        self._next = 40_000

    @property
    def note_key(self) -> str:
        """The key a note travels under."""
        return "request_note" if self.edition == "cloud" else "note"

    def expire_access_tokens(self) -> None:
        """End all access tokens now."""
        self._access.clear()

    def routes(self) -> Iterable[Route]:
        """Return the API, with and without a portal in the address, and the cloud's accounts server."""
        handlers: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", "/requests", self._list),
            ("GET", "/requests/{request_id}", self._get),
            ("PUT", "/requests/{request_id}", self._put),
            ("GET", "/requests/{request_id}/resolutions", self._get_resolution),
            ("POST", "/requests/{request_id}/resolutions", self._post_resolution),
            ("GET", "/requests/{request_id}/notes", self._list_notes),
            ("POST", "/requests/{request_id}/notes", self._post_note),
            ("GET", "/requests/{request_id}/notes/{note_id}", self._get_note),
            ("DELETE", "/requests/{request_id}/notes/{note_id}", self._delete_note),
        ]
        for prefix in ("/api/v3", "/app/{portal}/api/v3"):
            yield from (Route(method, prefix + path, handler) for method, path, handler in handlers)
        if self.edition == "cloud":
            yield Route("POST", TOKEN_PATH, self._token)

    def refusal(self, call: Call) -> Answer | None:
        """Refuse a missing Accept and the credentials of another edition."""
        if call.path == TOKEN_PATH:
            return None
        if not self._authenticated(call.headers):
            return self.failure(401)
        if call.headers.get("accept") != ACCEPT:
            return self._refused(f"Accept must be {ACCEPT}")
        return None

    def failure(self, status: int, *, retry_after: int | str | None = None) -> Answer:
        """Return the product's error body."""
        code, message = MESSAGES.get(status, (4004, "Internal Error"))
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return Answer(status, _failed(code, message), headers)

    def add_ticket(self, ticket: Json) -> Json:
        """Keep a ticket, given bare or under ``request``; only a missing id is made up."""
        record = dict(ticket["request"]) if isinstance(ticket.get("request"), dict) else dict(ticket)
        given = str(record.get("id", ""))
        record["id"] = given if given.isdigit() else self._new_id()
        self._tickets[record["id"]] = record
        self._notes.setdefault(record["id"], [])
        return {"id": record["id"], "display_id": str(record.get("display_id") or record["id"])}

    def to_vendor(self, neutral: Mapping[str, Any]) -> Json:
        """Return a seed ticket as a request record."""
        created = _moment(neutral.get("created_at")) or _now()
        resolved = _moment(neutral.get("resolved_at"))
        record: Json = {
            "id": str(neutral["ticket_id"]),
            "display_id": str(neutral["ticket_id"]),
            "subject": neutral["title"],
            "description": _as_html(neutral.get("description"), neutral.get("description_format")),
            "status": _named("3", "Resolved") if resolved else _named("2", "Open"),
            "priority": _named("1", neutral["priority"]) if neutral.get("priority") else None,
            "category": _named("1", neutral["category"]) if neutral.get("category") else None,
            "requester": self._person(neutral.get("requester")),
            "technician": self._person(neutral.get("technician")),
            "created_time": created,
            "last_updated_time": resolved or created,
            "resolved_time": resolved,
            "resolution": {"content": _as_html(neutral["resolution"], None)} if neutral.get("resolution") else None,
            "site": _named("1", str(neutral["site"])) if neutral.get("site") else None,
            "is_service_request": False,
        }
        if self.edition == "msp":
            record["account"] = _named("1", str(neutral.get("account") or "Default Account"))
        return record

    def ticket(self, ticket_id: str) -> Json:
        """Return a request record."""
        return self._tickets[ticket_id]

    def reading(self, call: Call) -> Reading | None:
        """Return the request of the product's own page for it."""
        own = call.path.endswith("/WorkOrder.do")
        cloud = re.search(r"/ui/requests/(\d+)/details$", call.path)
        record = self._tickets.get(call.query.get("woID", "") if own else cloud[1] if cloud else "")
        return None if record is None else reading_of(record, self._notes[record["id"]])

    def webhook(
        self, ticket: Json, kind: str, *, proof: Proof, note: Json | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Return the webhook of the recommended template.

        The static headers carry the secret. A ``secret`` that none of them carries signs the webhook by Standard
        Webhooks, as a custom function of the cloud can.
        """
        author = note.get("added_by", note.get("created_by")) if note else ticket.get("requester")
        template = {
            "event": EVENTS[kind],
            "ticket_id": str(ticket["id"]),
            "last_updated": (ticket.get("last_updated_time") or {}).get("value", ""),
            "actor_id": (author or {}).get("id", ""),
        }
        body = json.dumps(template).encode()
        headers = {"Content-Type": "application/json", **proof.headers}
        if proof.secret is not None and proof.secret not in proof.headers.values():
            headers |= _signature(proof.secret, body)
        return headers, body

    def _authenticated(self, headers: Mapping[str, str]) -> bool:
        if self.edition != "cloud":
            return "authorization" not in headers and _same(headers.get("authtoken", ""), self.token)
        scheme, _, access = headers.get("authorization", "").partition(" ")
        return scheme == "Zoho-oauthtoken" and self._access.get(access, 0.0) > time.monotonic()

    def _token(self, call: Call) -> Answer:
        """Answer as Zoho does: refusals too have status 200."""
        form = {name: values[-1] for name, values in parse_qs(call.body.decode(errors="replace")).items()}
        if form.get("grant_type") != "refresh_token":
            return Answer(200, {"error": "unsupported_grant_type"})
        if form.get("client_id") != self.account or not _same(form.get("client_secret", ""), self.token):
            return Answer(200, {"error": "invalid_client"})
        if not _same(form.get("refresh_token", ""), self.token):
            return Answer(200, {"error": "invalid_code"})
        access = "1000." + secrets.token_hex(16)
        self._access[access] = time.monotonic() + self.access_seconds
        answer = {"access_token": access, "api_domain": self.url, "token_type": "Bearer"}
        return Answer(200, {**answer, "expires_in": int(self.access_seconds)})

    def _list(self, call: Call, **_: str) -> Answer:
        listed = self._page(call, self._tickets.values())
        if isinstance(listed, Answer):
            return listed
        rows, info = listed
        shown = [{key: value for key, value in row.items() if key in ROW_FIELDS} for row in rows]
        return Answer(200, {"requests": shown, "list_info": info, "response_status": [_DONE]})

    def _get(self, call: Call, request_id: str, **_: str) -> Answer:
        record = self._tickets.get(request_id)
        if record is None:
            return self.failure(404)
        without = {"resolution"} if self.edition == "cloud" else set()
        shown = {key: value for key, value in record.items() if key not in without}
        return Answer(200, {"request": shown, "response_status": _DONE})

    def _put(self, call: Call, request_id: str, **_: str) -> Answer:
        record, given = self._tickets.get(request_id), self._input(call, "request")
        if record is None:
            return self.failure(404)
        if isinstance(given, Answer):
            return given
        record |= {key: value for key, value in given.items() if key != "id"}
        record["last_updated_time"] = self._touched(record)
        return Answer(200, {"request": record, "response_status": _DONE})

    def _get_resolution(self, call: Call, request_id: str, **_: str) -> Answer:
        record = self._tickets.get(request_id)
        if record is None:
            return self.failure(404)
        resolution = record.get("resolution") or {"content": None}
        return Answer(200, {"resolution": resolution, "response_status": _DONE})

    def _post_resolution(self, call: Call, request_id: str, **_: str) -> Answer:
        record, given = self._tickets.get(request_id), self._input(call, "resolution")
        if record is None:
            return self.failure(404)
        if isinstance(given, Answer):
            return given
        record["resolution"] = {"content": sanitised(str(given.get("content", "")))}
        record["last_updated_time"] = self._touched(record)
        return Answer(200, {"resolution": record["resolution"], "response_status": _DONE})

    def _list_notes(self, call: Call, request_id: str, **_: str) -> Answer:
        if request_id not in self._tickets:
            return self.failure(404)
        listed = self._page(call, self._notes[request_id])
        if isinstance(listed, Answer):
            return listed
        rows, info = listed
        shown = [{key: value for key, value in row.items() if key != "description"} for row in rows]
        return Answer(200, {f"{self.note_key}s": shown, "list_info": info, "response_status": [_DONE]})

    def _get_note(self, call: Call, request_id: str, note_id: str, **_: str) -> Answer:
        note = next((n for n in self._notes.get(request_id, []) if n["id"] == note_id), None)
        return self.failure(404) if note is None else Answer(200, {self.note_key: note, "response_status": _DONE})

    def _post_note(self, call: Call, request_id: str, **_: str) -> Answer:
        if request_id not in self._tickets:
            return self.failure(404)
        given = self._input(call, self.note_key)
        if isinstance(given, Answer):
            return given
        problem = _note_problem(given)
        if problem is not None:
            return self._refused(*problem, status=200)
        note = self._stored(request_id, given)
        return Answer(201 if self.edition == "cloud" else 200, {self.note_key: note, "response_status": _DONE})

    def _delete_note(self, call: Call, request_id: str, note_id: str, **_: str) -> Answer:
        notes = self._notes.get(request_id, [])
        note = next((n for n in notes if n["id"] == note_id), None)
        if note is None:
            return self.failure(404)
        notes.remove(note)
        self.forget_note(note)
        return Answer(200, {"response_status": _DONE})

    def _stored(self, request_id: str, given: Json) -> Json:
        record = self._tickets[request_id]
        moment = record["last_updated_time"] = self._touched(record)
        record["has_notes"] = True
        by, at = ("created_by", "created_time") if self.edition == "cloud" else ("added_by", "added_time")
        public = _flag(given.get("show_to_requester", False))
        note: Json = {
            "id": self._new_id(),
            "description": sanitised(given["description"]),
            "show_to_requester": public,
            by: {"id": self.technician_id, "name": self.account},
            at: moment,
            "request": {"id": request_id},
        }
        self._notes[request_id].append(note)
        self.record_note(request_id, internal=not public, text=html_text(note["description"]), raw=note)
        return note

    def _input(self, call: Call, key: str) -> Json | Answer:
        """Return what is under ``key`` in a form's ``input_data``, or the refusal of anything else."""
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return self._refused("input_data is missing; send a form", field="input_data")
        form = parse_qs(call.body.decode(errors="replace"))
        try:
            data = json.loads(form["input_data"][0])
        except (KeyError, ValueError):
            return self._refused("input_data is missing or no JSON", field="input_data")
        if not isinstance(data, dict) or list(data) != [key] or not isinstance(data[key], dict):
            return self._refused("EXTRA_KEY_FOUND_IN_JSON", field=next(iter(data), key), status=200)
        inner: Json = data[key]
        return inner

    def _page(self, call: Call, rows: Iterable[Json]) -> tuple[list[Json], Json] | Answer:
        try:
            asked = json.loads(call.query.get("input_data", "{}"))
            if not isinstance(asked, dict):
                raise BadList("input_data is no object")
            return page(rows, asked.get("list_info", {}))
        except (ValueError, BadList) as error:
            return self._refused(str(error), field="list_info")

    def _refused(self, message: str, *, field: str | None = None, status: int = 400) -> Answer:
        return Answer(status, _failed(4001, message, field))

    def _touched(self, record: Json) -> Json:
        """Return the present, later than the record's last update."""
        before = int((record.get("last_updated_time") or {}).get("value") or 0)
        return _time(max(int(time.time() * 1000), before + 1))

    def _person(self, person: Any) -> Json | None:
        if not person:
            return None
        named = dict(person) if isinstance(person, Mapping) else {"name": str(person)}
        number = self._people.setdefault(str(named.get("name")), str(100 + len(self._people)))
        return {"id": number, "name": named.get("name"), "email_id": named.get("email")}

    def _new_id(self) -> str:
        self._next += 1
        while str(self._next) in self._tickets:
            self._next += 1
        return str(self._next)


_DONE: Json = {"status_code": 2000, "status": "success"}


def _failed(code: int, message: str, field: str | None = None) -> Json:
    line: Json = {"status_code": code, "type": "failed", "message": message} | ({"field": field} if field else {})
    return {"response_status": {"status_code": 4000, "status": "failed", "messages": [line]}}


def _note_problem(given: Json) -> tuple[str] | None:
    extra = set(given) - NOTE_FLAGS - {"description"}
    if extra:
        return (f"EXTRA_KEY_FOUND_IN_JSON: {min(extra)}",)
    if not isinstance(given.get("description"), str) or not given["description"].strip():
        return ("description is mandatory",)
    wrong = [name for name in NOTE_FLAGS & set(given) if given[name] not in (True, False, "true", "false")]
    return (f"{wrong[0]} must be true or false",) if wrong else None


def _flag(value: Any) -> bool:
    return value in (True, "true")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _signature(secret: str, body: bytes) -> dict[str, str]:
    message_id = "msg_" + hashlib.sha256(body).hexdigest()[:24]
    stamp = str(int(time.time()))
    digest = hmac.digest(secret.encode(), f"{message_id}.{stamp}.".encode() + body, hashlib.sha256)
    signed = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signed}


def _named(identifier: str, name: str) -> Json:
    return {"id": identifier, "name": name}


def _now() -> Json:
    return _time(int(time.time() * 1000))


def _time(milliseconds: int) -> Json:
    shown = datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%b %d, %Y %I:%M %p")
    return {"value": str(milliseconds), "display_value": shown}


def _moment(text: str | None) -> Json | None:
    return _time(int(datetime.fromisoformat(text).timestamp() * 1000)) if text else None


def _as_html(text: str | None, kind: str | None) -> str:
    if kind == "html" or not text:
        return text or ""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<div>" + escaped.replace("\n", "<br>") + "</div>"
