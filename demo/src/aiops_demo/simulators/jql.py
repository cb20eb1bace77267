"""As much of JQL as a history import asks: comparisons joined by AND, and an order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Issue = dict[str, Any]

UNBOUNDED = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
_CLAUSE = re.compile(
    r"\s*(\w+)\s*(>=|<=|!=|=|>|<|not\s+in\b|in\b|is\s+not\b|is\b)\s*(\([^)]*\)|\"[^\"]*\"|[^\s()=<>!]+)\s*", re.I
)
_AGE = re.compile(r"-(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATES = {"updated": "updated", "created": "created", "resolved": "resolutiondate", "resolutiondate": "resolutiondate"}


class JqlError(ValueError):
    """The query is refused; the message is Jira's."""


def search(jql: str, issues: Iterable[Issue], *, bounded: bool, now: datetime) -> list[Issue]:
    """Return the issues that match, in the order asked.

    Args:
        jql: The query.
        issues: Issues with ``key`` and ``fields``.
        bounded: Whether a query without a restriction is refused.
        now: The present.

    Raises:
        JqlError: It cannot be read, or is unbounded.
    """
    where, _, order = re.sub(r"\s+", " ", jql.strip()).partition("ORDER BY ")
    if not where.strip():
        if bounded:
            raise JqlError(UNBOUNDED)
        return _ordered(list(issues), order)
    tests = [_test(*clause, now=now) for clause in _clauses(where)]
    return _ordered([issue for issue in issues if all(test(issue) for test in tests)], order)


def _clauses(where: str) -> list[tuple[str, str, str]]:
    clauses, rest = [], where
    while True:
        found = _CLAUSE.match(rest)
        if not found:
            raise JqlError(f"Error in the JQL Query: Expecting a comparison but got '{rest.strip()[:40]}'.")
        clauses.append((found[1].lower(), re.sub(r"\s+", " ", found[2].lower()), found[3]))
        rest = rest[found.end() :]
        if not rest.strip():
            return clauses
        if not re.match(r"AND\b", rest, re.I):
            raise JqlError(f"Error in the JQL Query: Expecting either 'OR' or 'AND' but got '{rest.strip()[:40]}'.")
        rest = rest[3:]


def _test(field: str, operator: str, value: str, *, now: datetime) -> Callable[[Issue], bool]:
    if operator in {"is", "is not"}:
        return lambda issue: (_value(issue, field) is None) == (operator == "is")
    if field in _DATES:
        limit = _date(_unquoted(value), now)
        return lambda issue: _compared(_when(issue, field), operator, limit)
    wanted = {_unquoted(v).lower() for v in value.strip("()").split(",")}
    negative = operator in {"!=", "not in"}
    return lambda issue: (str(_value(issue, field)).lower() in wanted) != negative


def _value(issue: Issue, field: str) -> Any:
    fields = issue["fields"]
    match field:
        case "project":
            return issue["key"].rpartition("-")[0]
        case "key" | "issuekey":
            return issue["key"]
        case "statuscategory":
            return ((fields.get("status") or {}).get("statusCategory") or {}).get("key")
        case "status" | "priority" | "resolution":
            return (fields.get(field) or {}).get("name")
        case _ if field in _DATES:
            return fields.get(_DATES[field])
        case _:
            raise JqlError(f"Field '{field}' does not exist or you do not have permission to view it.")


def _when(issue: Issue, field: str) -> datetime | None:
    return parsed(issue["fields"].get(_DATES[field]))


def parsed(text: Any) -> datetime | None:
    """Return a time of Jira's as a datetime, ``None`` when it is none."""
    try:
        return datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _date(value: str, now: datetime) -> datetime:
    if age := _AGE.fullmatch(value):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M", "%Y/%m/%d"):
        try:
            return datetime.strptime(value, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise JqlError(f"Date value '{value}' for field is invalid. Valid formats include: 'yyyy-MM-dd HH:mm' and '-5d'.")


def _compared(moment: datetime | None, operator: str, limit: datetime) -> bool:
    if moment is None:
        return False
    match operator:
        case ">=":
            return moment >= limit
        case ">":
            return moment > limit
        case "<=":
            return moment <= limit
        case "<":
            return moment < limit
        case _:
            return moment == limit


def _ordered(issues: list[Issue], order: str) -> list[Issue]:
    for part in reversed([p.strip() for p in order.split(",") if p.strip()]):
        field, _, direction = part.partition(" ")
        issues.sort(key=lambda issue: _sortable(issue, field.lower()), reverse=direction.upper() == "DESC")
    return issues


def _sortable(issue: Issue, field: str) -> tuple[float, str]:
    if field in _DATES:
        moment = _when(issue, field)
        return (moment.timestamp() if moment else 0.0, "")
    if field in {"key", "issuekey"}:
        return (float(issue["key"].rpartition("-")[2]), issue["key"])
    return (0.0, str(_value(issue, field)))


def _unquoted(value: str) -> str:
    text = value.strip().strip('"').strip("'")
    return {"to do": "new", "in progress": "indeterminate"}.get(text.lower(), text)
