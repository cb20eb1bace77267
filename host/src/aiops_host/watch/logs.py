"""Logs as one JSON object a line: no bodies, no secrets, and the ids of what was worked on."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import Any

import msgspec

HIDDEN = "[hidden]"
MAX_MESSAGE = 4000
OURS = "aiops"
"""How the names of our loggers and those of plugins begin."""
BOUND_FIELDS = frozenset({"tenant_id", "delivery_id", "trace_id"})

_bound: ContextVar[dict[str, object] | None] = ContextVar("aiops_log_fields", default=None)
_NOTHING: dict[str, object] = {}

_PATTERNS = (
    re.compile(r"(?i)\b(bearer|basic|[a-z]+-oauthtoken)\s+[a-z0-9._~+/=-]{6,}"),
    re.compile(
        r"(?i)((?:api[_-]?key|technician[_-]?key|token|secret|password|passwd|authorization|cookie)"
        r"[\"']?\s*[:=]\s*[\"']?)([^\s\"',;&}]{4,})"
    ),
    re.compile(r"\b(?:sk|pk|rk|xox[a-z]|gh[pousr]|whsec)[-_][A-Za-z0-9_-]{8,}"),
    re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s:/@]*:)([^\s@/]+)(@)"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
)


def scrub(text: str) -> str:
    """Replace what looks like a credential: bearer and basic values, API keys, tokens, passwords in addresses."""
    bearer, assigned, prefixed, address, jwt = _PATTERNS
    text = bearer.sub(rf"\1 {HIDDEN}", text)
    text = assigned.sub(rf"\1{HIDDEN}", text)
    text = address.sub(rf"\1{HIDDEN}\3", text)
    return jwt.sub(HIDDEN, prefixed.sub(HIDDEN, text))


class _Bound:
    """Fields for the length of a block; a generator's context manager takes twice as long, thrice in each webhook."""

    __slots__ = ("_fields", "_token")

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token: Token[dict[str, object] | None] = _bound.set({**(_bound.get() or _NOTHING), **self._fields})

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


def bound(**fields: object) -> AbstractContextManager[None]:
    """Add ``tenant_id``, ``delivery_id`` or ``trace_id`` to every line logged inside the block, in this task."""
    if not fields.keys() <= BOUND_FIELDS:
        unknown = fields.keys() - BOUND_FIELDS
        raise TypeError(f"only {', '.join(sorted(BOUND_FIELDS))} can be bound, not {', '.join(sorted(unknown))}")
    return _Bound(fields)


class JsonFormatter(logging.Formatter):
    """One line of JSON: time in UTC, level, logger, message, bound ids, and the error with its place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _shown(record.getMessage()),
            **{name: str(value) for name, value in (_bound.get() or _NOTHING).items() if value is not None},
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = _error(record.exc_info[1])
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: str = "INFO") -> None:
    """Log to stderr as JSON from ``level`` on, replacing whatever was set up; libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_worth_a_line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn.access").disabled = True


def _worth_a_line(record: logging.LogRecord) -> bool:
    """What libraries log as details may be whole requests, and changes with their versions."""
    return record.levelno >= logging.WARNING or record.name.startswith(OURS)


def _error(error: BaseException) -> dict[str, Any]:
    """Return type, message and the frames by file, line and function; never a frame's values."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    places = [f"{frame.filename.rpartition('/site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"type": type(error).__name__, "message": _shown(str(error)), "frames": places}


def _shown(text: str) -> str:
    """Return the text without credentials, bounded, and without what UTF-8 cannot carry."""
    return scrub(text)[:MAX_MESSAGE].encode(errors="replace").decode()
