"""Tickets, articles and assets read from CSV, JSON and Markdown files; errors name file, row and column."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from aiops_core.errors import AiopsError
from aiops_core.tickets import Person, Priority, Ticket
from aiops_host.data.retrieval.assets import Asset
from aiops_host.data.retrieval.knowledge import Article

T = TypeVar("T")
Row = Mapping[str, Any]

PRIORITIES = frozenset(get_args(Priority))
MAX_FIELD_CHARACTERS = 1_000_000


class FileRefused(AiopsError):
    """The file cannot be imported."""


def read_tickets(path: Path) -> list[Ticket]:
    """Read resolved tickets from CSV or a JSON list.

    Columns: ``ticket_id`` and ``title`` are needed; ``description``, ``resolution``, ``category``, ``priority``,
    ``requester``, ``technician``, ``created_at``, ``resolved_at`` (ISO 8601) and ``url`` may be there.

    Raises:
        FileRefused: The file is missing, of another kind, or a row lacks what is needed.
    """
    return _records(path, _ticket)


def read_assets(path: Path) -> list[Asset]:
    """Read assets from CSV or a JSON list.

    Columns: ``name`` is needed; ``kind``, ``owner``, ``site``, ``notes``, and ``hostnames`` and ``ips`` separated
    by ``;`` may be there.

    Raises:
        FileRefused: The file is missing, of another kind, or a row lacks what is needed.
    """
    return _records(path, _asset)


def read_articles(path: Path) -> list[Article]:
    """Read articles from a folder of Markdown files, or from CSV or a JSON list.

    A Markdown file may begin with ``title``, ``url``, ``updated`` and ``tags`` as ``key: value`` lines between two
    lines of ``---``; its name without ending is the slug. Columns: ``slug``, ``title`` and ``body`` are needed;
    ``url``, ``updated`` and ``tags`` may be there.

    Raises:
        FileRefused: The file is missing, of another kind, or a row lacks what is needed.
    """
    if not path.is_dir():
        return _records(path, _article)
    files = sorted(path.rglob("*.md"))
    if not files:
        raise FileRefused(f"{path} holds no .md file.")
    return [_converted(_article, _markdown(file, path), str(file)) for file in files]


def _records(path: Path, convert: Callable[[Row], T]) -> list[T]:
    return [_converted(convert, row, f"{path}, row {number}") for number, row in _rows(path)]


def _converted(convert: Callable[[Row], T], row: Row, where: str) -> T:
    try:
        return convert(row)
    except KeyError as error:
        raise FileRefused(f"{where}: the column {error.args[0]!r} is missing or empty.") from None
    except ValueError as error:
        raise FileRefused(f"{where}: {error}") from None


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FileRefused(f"{path}: {why}.") from None
    if path.suffix.lower() == ".csv":
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        return _csv_rows(text, path)
    if path.suffix.lower() == ".json":
        return _json_rows(text, path)
    raise FileRefused(f"{path}: expected a .csv or .json file.")


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, Row]]:
    try:
        for number, row in enumerate(csv.DictReader(text.splitlines(keepends=True), strict=True), 2):
            yield number, {k: v for k, v in row.items() if k}
    except csv.Error as error:
        raise FileRefused(f"{path}: not readable as CSV: {error}.") from None


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Row]]:
    try:
        rows = msgspec.json.decode(text, type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise FileRefused(f"{path}: expected a JSON list of objects: {error}.") from None
    return iter(enumerate(rows, 1))


def _markdown(file: Path, root: Path) -> Row:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileRefused(f"{file}: {error}.") from None
    facts: dict[str, Any] = {}
    lines = text.splitlines()
    if lines and lines[0].strip() == "---" and "---" in (line.strip() for line in lines[1:]):
        end = next(i for i, line in enumerate(lines[1:], 1) if line.strip() == "---")
        facts = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:end]) if v.strip()}
        lines = lines[end + 1 :]
    heading = next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), file.stem)
    slug = file.relative_to(root).with_suffix("").as_posix()
    return {"title": heading, **facts, "slug": slug, "body": "\n".join(lines).strip()}


def _ticket(row: Row) -> Ticket:
    return Ticket(
        id=_needed(row, "ticket_id"),
        title=_needed(row, "title"),
        description=_text(row, "description") or "",
        state="resolved",
        resolution=_text(row, "resolution"),
        category=_text(row, "category"),
        priority=_priority(_text(row, "priority")),
        priority_word=_text(row, "priority"),
        requester=_person(row, "requester"),
        technician=_person(row, "technician"),
        created_at=_time(row, "created_at"),
        resolved_at=_time(row, "resolved_at"),
        url=_text(row, "url"),
    )


def _asset(row: Row) -> Asset:
    return Asset(
        name=_needed(row, "name"),
        kind=_text(row, "kind"),
        owner=_text(row, "owner"),
        site=_text(row, "site"),
        notes=_text(row, "notes"),
        hostnames=_several(row, "hostnames", ";"),
        ips=_several(row, "ips", ";"),
    )


def _article(row: Row) -> Article:
    return Article(
        slug=_needed(row, "slug"),
        title=_needed(row, "title"),
        body=_needed(row, "body"),
        url=_text(row, "url"),
        tags=_several(row, "tags", ","),
        updated_at=_time(row, "updated"),
    )


def _needed(row: Row, column: str) -> str:
    value = _text(row, column)
    if value is None:
        raise KeyError(column)
    return value


def _text(row: Row, column: str) -> str | None:
    value = row.get(column)
    return str(value).strip() or None if value is not None else None


def _several(row: Row, column: str, separator: str) -> tuple[str, ...]:
    value = row.get(column)
    parts: Sequence[Any] = value if isinstance(value, list) else str(value or "").split(separator)
    return tuple(text for part in parts if (text := str(part).strip()))


def _person(row: Row, column: str) -> Person | None:
    name = _text(row, column)
    return Person(name=name) if name else None


def _priority(word: str | None) -> Priority:
    lowered = (word or "").lower()
    return lowered if lowered in PRIORITIES else "unknown"  # type: ignore[return-value]


def _time(row: Row, column: str) -> datetime | None:
    text = _text(row, column)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"the column {column!r} holds {text!r}, which is no ISO 8601 time.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
