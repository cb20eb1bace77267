"""Jira Cloud and Jira Data Center, as strict as they are about credentials, routes and bodies."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from typing import Any

from aiops_demo.simulators.base import Answer, Call, Json, Proof, Route, VendorSimulator
from aiops_demo.simulators.jira_shapes import (
    INTERNAL_PROPERTY,
    PORTAL_FIELD,
    body_error,
    issue_of,
    now,
    properties_error,
    user,
    webhook,
)
from aiops_demo.simulators.jql import JqlError, search
from aiops_demo.simulators.reading import Reading
from aiops_demo.simulators.richtext import adf_text, as_adf, as_wiki, wiki_text

MAX_PAGE = 5_000
MAX_PAGE_WITH_FIELDS = 100
MESSAGES = {
    400: "The request is not valid.",
    401: "Client must be authenticated to access this resource.",
    403: "You do not have permission to do this.",
    404: "Issue does not exist or you do not have permission to see it.",
    410: "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. "
    "A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046",
    415: "Unsupported Media Type",
    429: "Rate limit exceeded.",
    500: "Internal server error",
    503: "Service unavailable",
}


@dataclass
class Comment:
    """A comment as it was given, with its entity properties."""

    id: str
    author: Json
    body: Any
    created: str
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def internal(self) -> bool:
        """Whether requesters cannot see it."""
        value = self.properties.get(INTERNAL_PROPERTY)
        return isinstance(value, dict) and value.get("internal") is True


@dataclass
class Issue:
    """A ticket: its id, key, fields without comments, and its comments, oldest first."""

    id: str
    key: str
    fields: Json
    comments: list[Comment] = field(default_factory=list)


class JiraSimulator(VendorSimulator):
    """Jira in memory."""

    editions = ("cloud", "datacenter")
    default_account = "aiops@northquay.example"

    def __init__(self, *, token: str, edition: str | None = None, account: str | None = None) -> None:
        """Take the API token (Cloud, with the email ``account``) or the personal access token (Data Center)."""
        super().__init__(token=token, edition=edition, account=account)
        self.expands_properties = False
        """Whether a list of comments obeys ``expand=properties``, which Cloud does not document."""
        self._issues: dict[str, Issue] = {}
        self._ids = count(10_001)
        self._comment_ids = count(20_001)
        self.me = user("AI Ops", self.account, self.edition)

    def routes(self) -> Iterable[Route]:
        """Return the routes of the edition."""
        versions = ("2", "3") if self.edition == "cloud" else ("2", "latest")
        for version in versions:
            yield from self._platform(f"/rest/api/{version}", "3" if version == "3" else "2")
        yield Route("POST", "/rest/servicedeskapi/request/{key}/comment", self._portal_comment)

    def _platform(self, api: str, version: str) -> Iterable[Route]:
        def add(call: Call, key: str) -> Answer:
            return self._add_comment(call, key, version)

        def issue(call: Call, key: str) -> Answer:
            return self._issue(call, key, version)

        def comments(call: Call, key: str) -> Answer:
            return self._comments(call, key, version)

        def comment(call: Call, key: str, number: str) -> Answer:
            return self._comment(key, number, version)

        def jql(call: Call) -> Answer:
            return self._search_jql(call, version)

        yield Route("GET", f"{api}/myself", lambda call: Answer(200, self.me))
        yield Route("GET", f"{api}/issue/{{key}}", issue)
        yield Route("GET", f"{api}/issue/{{key}}/comment", comments)
        yield Route("POST", f"{api}/issue/{{key}}/comment", add)
        yield Route("GET", f"{api}/issue/{{key}}/comment/{{number}}", comment)
        yield Route("DELETE", f"{api}/issue/{{key}}/comment/{{number}}", self._delete_comment)
        yield Route("GET", f"{api}/comment/{{number}}/properties", self._property_keys)
        yield Route("GET", f"{api}/comment/{{number}}/properties/{{name}}", self._property)
        for method in ("GET", "POST"):
            if self.edition == "cloud":
                yield Route(method, f"{api}/search/jql", jql)
                yield Route(method, f"{api}/search", lambda call: self.failure(410))
            else:
                yield Route(method, f"{api}/search", self._search)

    def refusal(self, call: Call) -> Answer | None:
        """Refuse wrong credentials, and bodies that are not declared as JSON."""
        if call.headers.get("authorization") not in self._credentials():
            return self.failure(401)
        json_body = call.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        return self.failure(415) if call.method in {"POST", "PUT"} and not json_body else None

    def _credentials(self) -> set[str]:
        basic = "Basic " + base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        return {basic} if self.edition == "cloud" else {basic, f"Bearer {self.token}"}

    def failure(self, status: int, *, retry_after: int | str | None = None) -> Answer:
        """Return an error in Jira's words; 401 and 429 with the headers that go with them."""
        body = {"errorMessages": [MESSAGES.get(status, f"HTTP {status}")], "errors": {}}
        headers: dict[str, str] = {}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        if status == HTTPStatus.UNAUTHORIZED:
            headers |= {"WWW-Authenticate": 'OAuth realm="jira"', "X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers |= {
                "X-RateLimit-Limit": "100",
                "X-RateLimit-Remaining": "0",
                "RateLimit-Reason": "jira-burst-based",
            }
            headers.setdefault("Retry-After", "5")
        return Answer(status, body, headers)

    def unknown_route(self, status: int) -> Answer:
        """Return what Jira's router says before any of its resources is asked."""
        return Answer(status, {"message": "null for uri", "status-code": status})

    def add_ticket(self, ticket: Json) -> Json:
        """Keep an issue of any completeness; a whole webhook body gives its ``issue``."""
        given = copy.deepcopy(ticket.get("issue", ticket) if "fields" not in ticket else ticket)
        number = str(given.get("id") or next(self._ids))
        fields: Json = given["fields"] if isinstance(given.get("fields"), dict) else {}
        project = (fields.get("project") or {}).get("key") or "OPS"
        issue = Issue(number, str(given.get("key") or f"{project}-{number}"), fields)
        for item in (fields.pop("comment", None) or {}).get("comments", []):
            issue.comments.append(self._kept(item))
        self._issues[issue.key] = issue
        return {"id": issue.id, "key": issue.key, "self": f"{self.url}/rest/api/2/issue/{issue.id}"}

    def ticket(self, ticket_id: str) -> Json:
        """Return the issue as a webhook shows it: texts as wiki markup."""
        issue = self._issues[ticket_id]
        return self._shown(issue, "2", set(issue.fields))

    def reading(self, call: Call) -> Reading | None:
        """Return the issue of ``/browse/KEY``."""
        issue = self._found(call.path.removeprefix("/browse/")) if call.path.startswith("/browse/") else None
        if issue is None:
            return None
        notes = [(_heading(comment), _text(comment.body)) for comment in issue.comments]
        return Reading(issue.key, str(issue.fields.get("summary")), _text(issue.fields.get("description")), notes)

    def to_vendor(self, neutral: Mapping[str, Any]) -> Json:
        """Return a seed ticket as an issue; its resolution is the technician's last public comment."""
        return issue_of(neutral, number=str(next(self._ids)), edition=self.edition)

    def webhook(
        self, ticket: Json, kind: str, *, proof: Proof, note: Json | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Return an administrator's webhook, signed where there is a secret."""
        return webhook(ticket, kind, proof=proof, note=note)

    def _issue(self, call: Call, key: str, version: str) -> Answer:
        issue = self._found(key)
        if issue is None:
            return self.failure(404)
        return Answer(200, self._shown(issue, version, _wanted(call.query.get("fields"), "*all")))

    def _shown(self, issue: Issue, version: str, wanted: set[str]) -> Json:
        every = wanted & {"*all", "*navigable"}
        fields = {name: value for name, value in issue.fields.items() if every or name in wanted}
        if "description" in fields:
            fields["description"] = _as(version, fields["description"])
        if "comment" in wanted or "*all" in wanted:
            comments = [self._comment_json(c, version) for c in issue.comments]
            fields["comment"] = {
                "comments": comments,
                "startAt": 0,
                "maxResults": len(comments),
                "total": len(comments),
            }
        address = f"{self.url}/rest/api/{version}/issue/{issue.id}"
        return {"expand": "", "id": issue.id, "self": address, "key": issue.key, "fields": fields}

    def _comment_json(self, comment: Comment, version: str, *, properties: bool = False) -> Json:
        shown: Json = {
            "self": f"{self.url}/rest/api/{version}/comment/{comment.id}",
            "id": comment.id,
            "author": comment.author,
            "body": _as(version, comment.body),
            "updateAuthor": comment.author,
            "created": comment.created,
            "updated": comment.created,
        }
        if self.edition == "cloud":
            shown["jsdPublic"] = not comment.internal
        if properties:
            shown["properties"] = [{"key": k, "value": v} for k, v in comment.properties.items()]
        return shown

    def _comments(self, call: Call, key: str, version: str) -> Answer:
        issue = self._found(key)
        if issue is None:
            return self.failure(404)
        start, size = _number(call.query.get("startAt"), 0), _number(call.query.get("maxResults"), 50)
        newest_first = call.query.get("orderBy", "") == "-created"
        ordered = issue.comments[::-1] if newest_first else issue.comments
        expanded = self.expands_properties and "properties" in call.query.get("expand", "").split(",")
        page = [self._comment_json(c, version, properties=expanded) for c in ordered[start : start + size]]
        return Answer(200, {"startAt": start, "maxResults": size, "total": len(issue.comments), "comments": page})

    def _comment(self, key: str, number: str, version: str) -> Answer:
        issue = self._found(key)
        comment = next((c for c in issue.comments if c.id == number), None) if issue else None
        return Answer(200, self._comment_json(comment, version)) if comment else self.failure(404)

    def _add_comment(self, call: Call, key: str, version: str) -> Answer:
        issue = self._found(key)
        if issue is None:
            return self.failure(404)
        given = call.json()
        if not isinstance(given, dict):
            return _refused("There was an error parsing JSON. Check that your request body is valid.")
        error = body_error(given.get("body"), version) or properties_error(given.get("properties", []))
        if error:
            return Answer(400, {"errorMessages": [], "errors": {"comment": error}})
        properties = {p["key"]: p["value"] for p in given.get("properties", [])}
        comment = self._keep(issue, given["body"], properties)
        return Answer(201, self._comment_json(comment, version))

    def _portal_comment(self, call: Call, key: str) -> Answer:
        issue = self._found(key)
        if issue is None or not issue.fields.get(PORTAL_FIELD):
            return Answer(404, {"errorMessage": "The request was not raised through a portal.", "i18nErrorMessage": {}})
        given = call.json()
        if not isinstance(given, dict) or not isinstance(given.get("body"), str) or not given["body"]:
            return Answer(400, {"errorMessage": "The comment's body is missing.", "i18nErrorMessage": {}})
        public = given.get("public", False) is True
        comment = self._keep(issue, given["body"], {} if public else {INTERNAL_PROPERTY: {"internal": True}})
        return Answer(201, {"id": comment.id, "body": comment.body, "public": public, "author": comment.author})

    def _keep(self, issue: Issue, body: Any, properties: dict[str, Any]) -> Comment:
        comment = Comment(str(next(self._comment_ids)), self.me, body, now(), properties)
        issue.comments.append(comment)
        issue.fields["updated"] = comment.created
        raw = {**self._comment_json(comment, "", properties=True), "body": body}
        self.record_note(issue.key, internal=comment.internal, text=_text(body), raw=raw)
        return comment

    def _delete_comment(self, call: Call, key: str, number: str) -> Answer:
        issue = self._found(key)
        comment = next((c for c in issue.comments if c.id == number), None) if issue else None
        if issue is None or comment is None:
            return self.failure(404)
        issue.comments.remove(comment)
        self.forget_note(next((note.raw for note in self.posted if note.raw["id"] == number), {}))
        return Answer(204)

    def _property_keys(self, call: Call, number: str) -> Answer:
        comment = self._any_comment(number)
        if comment is None:
            return self.failure(404)
        address = f"{self.url}{call.path}"
        return Answer(200, {"keys": [{"self": f"{address}/{name}", "key": name} for name in comment.properties]})

    def _property(self, call: Call, number: str, name: str) -> Answer:
        comment = self._any_comment(number)
        if comment is None or name not in comment.properties:
            return self.failure(404)
        return Answer(200, {"key": name, "value": comment.properties[name]})

    def _search_jql(self, call: Call, version: str) -> Answer:
        asked = self._asked(call)
        if asked is None:
            return _refused("There was an error parsing JSON. Check that your request body is valid.")
        wanted = _wanted(asked.get("fields"), "")
        size = min(_number(asked.get("maxResults"), 50), MAX_PAGE_WITH_FIELDS if wanted else MAX_PAGE)
        start = _token_start(asked.get("nextPageToken"))
        if start is None:
            return _refused("The provided next page token is invalid.")
        try:
            found = self._matching(str(asked.get("jql") or ""), bounded=True)
        except JqlError as error:
            return _refused(str(error))
        page = found[start : start + size]
        issues = [self._shown(i, version, wanted) if wanted else {"id": i.id} for i in page]
        last = start + size >= len(found)
        token = {} if last else {"nextPageToken": _token(start + size)}
        return Answer(200, {"issues": issues, "isLast": last, **token})

    def _search(self, call: Call) -> Answer:
        asked = self._asked(call)
        if asked is None:
            return _refused("There was an error parsing JSON. Check that your request body is valid.")
        start, size = _number(asked.get("startAt"), 0), min(_number(asked.get("maxResults"), 50), 1000)
        try:
            found = self._matching(str(asked.get("jql") or ""), bounded=False)
        except JqlError as error:
            return _refused(str(error))
        wanted = _wanted(asked.get("fields"), "*navigable")
        issues = [self._shown(i, "2", wanted) for i in found[start : start + size]]
        return Answer(200, {"startAt": start, "maxResults": size, "total": len(found), "issues": issues})

    def _asked(self, call: Call) -> Mapping[str, Any] | None:
        if call.method == "GET":
            return call.query
        body = call.json()
        return body if isinstance(body, dict) else None

    def _matching(self, jql: str, *, bounded: bool) -> list[Issue]:
        rows = [{"key": issue.key, "fields": issue.fields} for issue in self._issues.values()]
        return [self._issues[row["key"]] for row in search(jql, rows, bounded=bounded, now=datetime.now(UTC))]

    def _found(self, key: str) -> Issue | None:
        return self._issues.get(key) or next((i for i in self._issues.values() if i.id == key), None)

    def _any_comment(self, number: str) -> Comment | None:
        return next((c for i in self._issues.values() for c in i.comments if c.id == number), None)

    def _kept(self, item: Json) -> Comment:
        properties = {p["key"]: p["value"] for p in item.get("properties") or []}
        if item.get("jsdPublic") is False:
            properties.setdefault(INTERNAL_PROPERTY, {"internal": True})
        number = str(item.get("id") or next(self._comment_ids))
        return Comment(
            number, item.get("author") or self.me, item.get("body"), item.get("created") or now(), properties
        )


def _heading(comment: Comment) -> str:
    return f"{comment.author.get('displayName')}, {comment.created}{', internal' if comment.internal else ''}"


def _text(body: Any) -> str:
    return wiki_text(body) if isinstance(body, str) else adf_text(body) if body else ""


def _refused(message: str) -> Answer:
    return Answer(400, {"errorMessages": [message], "errors": {}})


def _wanted(fields: Any, default: str) -> set[str]:
    names = fields if isinstance(fields, list) else str(fields or default).split(",")
    return {str(name).strip() for name in names if str(name).strip()}


def _number(value: Any, default: int) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return default


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"page:{start}".encode()).decode()


def _token_start(token: Any) -> int | None:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(str(token)).decode().removeprefix("page:"))
    except ValueError:
        return None


def _as(version: str, body: Any) -> Any:
    return as_adf(body) if version == "3" else as_wiki(body)
