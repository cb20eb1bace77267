"""Conditions of, and places in, lists that are ordered by time and id, newest first."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from aiops_core.errors import AiopsError


class CursorInvalid(AiopsError):
    """The cursor is not one this list gave."""


def cursor_of(moment: datetime, row_id: UUID) -> str:
    """Return the cursor that asks for what comes after this row."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {row_id}".encode()).decode().rstrip("=")


def position_of(cursor: str) -> tuple[datetime, UUID]:
    """Return the row a cursor stands for.

    Raises:
        CursorInvalid: It is not a cursor.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        time, _, row_id = base64.urlsafe_b64decode(padded).decode().partition(" ")
        moment, found = datetime.fromisoformat(time), UUID(row_id)
        if moment.tzinfo is None:
            raise ValueError("the time has no zone")
    except ValueError:
        raise CursorInvalid from None
    return moment, found


def conditions(wanted: Iterable[tuple[str, Any]], place: str, cursor: str | None) -> tuple[str, list[Any]]:
    """Return what a list's rows must meet, over numbered parameters, and the parameters' values.

    Args:
        wanted: A condition with ``{0}`` for its parameter, and the value, each; ``None`` asks for nothing.
        place: The time and id that rows are ordered by, as a row value.
        cursor: Rows after this one are asked for; ``None`` asks for the first.

    Raises:
        CursorInvalid: It is not a cursor.
    """
    clauses, values = ["true"], list[Any]()
    for clause, value in wanted:
        if value is not None:
            values.append(value)
            clauses.append(clause.format(f"${len(values)}"))
    if cursor is not None:
        values += position_of(cursor)
        clauses.append(f"{place} < (${len(values) - 1}, ${len(values)})")
    return " and ".join(clauses), values
