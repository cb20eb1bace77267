"""Lists of ServiceDesk Plus: ``list_info`` with search criteria, order and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiops_demo.simulators.base import Json

MAX_ROWS = 100
DEFAULT_ROWS = 10
KNOWN_KEYS = frozenset({
    "row_count", "start_index", "sort_field", "sort_order", "search_criteria", "get_total_count", "fields_required",
})  # fmt: skip
FIELDS = frozenset({
    "id", "display_id", "subject", "status.name", "priority.name", "category.name", "requester.name",
    "technician.name", "technician.id", "site.name", "account.name", "created_time", "last_updated_time",
    "resolved_time",
})  # fmt: skip
TIMES = frozenset({"created_time", "last_updated_time", "resolved_time", "added_time"})
CONDITIONS: Mapping[str, Callable[[Any, list[Any]], bool]] = {
    "is": lambda have, wanted: have in wanted,
    "is not": lambda have, wanted: have not in wanted,
    "contains": lambda have, wanted: any(str(w).lower() in str(have or "").lower() for w in wanted),
    "starts with": lambda have, wanted: any(str(have or "").startswith(str(w)) for w in wanted),
    "greater than": lambda have, wanted: have is not None and have > wanted[0],
    "greater or equal": lambda have, wanted: have is not None and have >= wanted[0],
    "lesser than": lambda have, wanted: have is not None and have < wanted[0],
    "lesser or equal": lambda have, wanted: have is not None and have <= wanted[0],
}


class BadList(Exception):
    """The product refuses this ``list_info``."""


def page(rows: Iterable[Json], list_info: Any) -> tuple[list[Json], Json]:
    """Return the rows asked for and the answer's ``list_info``.

    Raises:
        BadList: The product refuses it; the message says why.
    """
    if not isinstance(list_info, dict) or set(list_info) - KNOWN_KEYS:
        raise BadList("list_info is no object or has an unknown key")
    count, start = _number(list_info, "row_count", DEFAULT_ROWS), _number(list_info, "start_index", 1)
    if not 1 <= count <= MAX_ROWS or start < 1:
        raise BadList(f"row_count must be 1 to {MAX_ROWS} and start_index at least 1")
    found = _sorted([row for row in rows if _matches(row, list_info.get("search_criteria", []))], list_info)
    shown = found[start - 1 : start - 1 + count]
    more = start - 1 + count < len(found)
    return shown, {"has_more_rows": more, "row_count": len(shown), "start_index": start}


def _number(list_info: Json, key: str, default: int) -> int:
    try:
        return int(list_info.get(key, default))
    except (TypeError, ValueError):
        raise BadList(f"{key} is no number") from None


def _sorted(rows: list[Json], list_info: Json) -> list[Json]:
    name, order = list_info.get("sort_field"), list_info.get("sort_order", "asc")
    if order not in {"asc", "desc"} or (name is not None and name not in FIELDS | TIMES):
        raise BadList("sort_field or sort_order is unknown")
    if name is None:
        return rows
    return sorted(rows, key=lambda row: _rank(_value(row, name)), reverse=order == "desc")


def _rank(value: Any) -> tuple[int, float, str]:
    return (1, value, "") if isinstance(value, int) else (0, 0, str(value or ""))


def _matches(row: Json, criteria: Any) -> bool:
    if not isinstance(criteria, list | dict):
        raise BadList("search_criteria is no list")
    verdict = True
    for number, criterion in enumerate([criteria] if isinstance(criteria, dict) else criteria):
        operator = criterion.get("logical_operator")
        if number and operator not in {"AND", "OR"}:
            raise BadList("a second criterion needs its logical_operator, AND or OR")
        matched = _criterion(row, criterion)
        verdict = (verdict or matched) if number and operator == "OR" else (verdict and matched)
    return verdict


def _criterion(row: Json, criterion: Json) -> bool:
    name, condition = criterion.get("field"), CONDITIONS.get(str(criterion.get("condition")))
    wanted = criterion.get("values", [criterion["value"]] if "value" in criterion else None)
    if name not in FIELDS or condition is None or not isinstance(wanted, list) or not wanted:
        raise BadList(f"the criterion on {name!r} has an unknown field or condition, or no value")
    if name in TIMES:
        wanted = [_milliseconds(value) for value in wanted]
    return condition(_value(row, name), wanted)


def _milliseconds(value: Any) -> int:
    if not str(value).isdigit():
        raise BadList("times are milliseconds since 1970")
    return int(value)


def _value(row: Json, path: str) -> Any:
    value: Any = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if path in TIMES:
        inner = value.get("value") if isinstance(value, dict) else None
        return int(str(inner)) if str(inner).isdigit() else None
    return value
