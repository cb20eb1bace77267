"""Where a JSON text that a person wrote goes wrong."""

from __future__ import annotations

import json


def json_trouble(text: str | bytes) -> str | None:
    """Return line, column and reason of where a text stops being JSON; None when it is JSON, if of another kind."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except UnicodeDecodeError:
        return "not UTF-8 text"
    except RecursionError:
        return "nested too deeply"
    return None
