"""Places in lists that are ordered by time and id, newest first."""

from __future__ import annotations

import base64
from datetime import datetime
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
