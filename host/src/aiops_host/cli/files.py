"""Tickets, articles and assets read from CSV, JSON and Markdown files; errors name file, row and column."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import msgspec

from aiops_core.errors import AiopsError
from aiops_core.tickets import Person, Priority, Ticket
from aiops_host.cli.jsontext import json_trouble
from aiops_host.data.retrieval.assets import Asset
from aiops_host.data.retrieval.knowledge import Article

T = TypeVar("T")
Row = Mapping[str, Any]
Tell = Callable[[str], None]

PRIORITIES = frozenset(get_args(Priority))
MAX_FIELD_CHARACTERS = 1_000_000
MAX_NAMED_REPEATS = 5
SURPLUS: Any = object()
"""The key of what a row has beyond the header's columns."""


class FileRefused(AiopsError):
    """The file cannot be imported."""


class FileUnreadable(FileRefused):
    """The file cannot be opened."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns a file must have, and all it may have."""

    needed: tuple[str, ...]
    known: tuple[str, ...]


TICKET = Columns(
    ("ticket_id", "title"),
    (
        *("ticket_id", "title", "description", "resolution", "category", "priority", "requester", "technician"),
        *("created_at", "resolved_at", "url"),
    ),
)
ASSET = Columns(("name",), ("name", "kind", "owner", "site", "notes", "hostnames", "ips"))
ARTICLE = Columns(("slug", "title", "body"), ("slug", "title", "body", "url", "updated", "tags"))


def _tell_nobody(_: str) -> None:
    """Take a remark nobody asked for."""


def read_tickets(path: Path, tell: Tell = _tell_nobody) -> list[Ticket]:
    """Read resolved tickets from CSV or a JSON list.

    Columns: ``ticket_id`` and ``title`` are needed; ``description``, ``resolution``, ``category``, ``priority``,
    ``requester``, ``technician``, ``created_at``, ``resolved_at`` (ISO 8601) and ``url`` may be there; ``tell`` hears of
    others.

    Raises:
        FileRefused: The file is missing, of another kind, or a row lacks what is needed.
    """
    return _records(path, _ticket, TICKET, tell)


def read_assets(path: Path, tell: Tell = _tell_nobody) -> list[Asset]:
    """Read assets from CSV or a JSON list.

    Columns: ``name`` is needed; ``kind``, ``owner``, ``site``, ``notes``, and ``hostnames`` and ``ips`` separated
    by ``;`` may be there; ``tell`` hears of others.

    Raises:
        FileRefused: The file is missing, of another kind, or a row lacks what is needed.
    """
    return _records(path, _asset, ASSET, tell)


def read_articles(path: Path, tell: Tell = _tell_nobody) -> list[Article]:
    """Read articles from a Markdown file or a folder of them, or from CSV or a JSON list.

    A Markdown file may begin with ``title``, ``url``, ``updated`` and ``tags`` as ``key: value`` lines between two
    lines of ``---``; its name without ending is the slug. One without text is left out, which ``tell`` hears.
    Columns: ``slug``, ``title`` and ``body`` are needed; ``url``, ``updated`` and ``tags`` may be there; ``tell`` hears
    of others.

    Raises:
        FileRefused: The file is missing, of another kind, or a row lacks what is needed.
    """
    one = path.suffix.lower() == ".md" and not path.is_dir()
    if not one and not path.is_dir():
        return _records(path, _article, ARTICLE, tell)
    found = [path] if one else sorted(path.rglob("*.md"))
    files = {file: _markdown(file, path.parent if one else path) for file in found}
    written = {file: row for file, row in files.items() if row["body"]}
    if not written:
        if one:
            raise FileRefused(f"{path} has no text.")
        raise FileRefused(f"{path} holds no .md file{' that has text' if files else ''}.")
    for file in files.keys() - written.keys():
        tell(f"{file} has no text and is left out.")
    return [_converted(_article, row, str(file)) for file, row in written.items()]


def _records(path: Path, convert: Callable[[Row], T], columns: Columns, tell: Tell) -> list[T]:
    rows = list(_rows(path, columns))
    unknown = dict.fromkeys(name for _, row in rows for name in row if name not in columns.known)
    if unknown:
        tell(f"{path}: not imported: {', '.join(unknown)}. Known columns: {', '.join(columns.known)}.")
    made = [_converted(convert, row, f"{path}, row {number}") for number, row in rows]
    if repeats := _repeats(rows, columns.needed[0]):
        more = f" and {len(repeats) - MAX_NAMED_REPEATS} more do" if len(repeats) > MAX_NAMED_REPEATS else ""
        tell(f"{path}: {', '.join(repeats[:MAX_NAMED_REPEATS])}{more}; of each the last counts.")
    return made


def _repeats(rows: Sequence[tuple[int, Row]], key: str) -> list[str]:
    """Return which rows have the key of a row before them."""
    seen: set[str | None] = set()
    found = []
    for number, row in rows:
        value = _text(row, key)
        if value in seen:
            found.append(f"row {number} repeats {value}")
        seen.add(value)
    return found


def _converted(convert: Callable[[Row], T], row: Row, where: str) -> T:
    try:
        return convert(row)
    except ValueError as error:
        raise FileRefused(f"{where}: {error}") from None


def _rows(path: Path, columns: Columns) -> Iterator[tuple[int, Row]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileUnreadable(f"{path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        how = "CSV UTF-8" if path.suffix.lower() == ".csv" else "UTF-8"
        raise FileRefused(f"{path}: not UTF-8 text; save it as {how}.") from None
    if path.suffix.lower() == ".csv":
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        return _csv_rows(text, path, columns)
    if path.suffix.lower() == ".json":
        return _json_rows(text, path)
    raise FileRefused(f"{path}: expected a .csv or .json file.")


def _csv_rows(text: str, path: Path, columns: Columns) -> Iterator[tuple[int, Row]]:
    try:
        reader = csv.DictReader(text.splitlines(keepends=True), restkey=SURPLUS, strict=True)
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        if missing := [name for name in columns.needed if name not in names]:
            there = ", ".join(names) or "none"
            if len(names) == 1 and (separator := next((c for c in ";\t" if c in names[0]), None)):
                raise FileRefused(
                    f"{path}: separated by {separator!r}? Commas are needed; there is one column: {there}."
                )
            raise FileRefused(
                f"{path}: the column {missing[0]!r} is missing; needed are {', '.join(columns.needed)}, there are: {there}."
            )
        for number, row in enumerate(reader, 2):
            surplus = cast("list[str]", row.pop(SURPLUS, []))
            if any(surplus):
                raise FileRefused(
                    f"{path}: row {number} has {len(names) + len(surplus)} columns, the header {len(names)}: "
                    "put text with commas into quotes."
                )
            yield number, {k: v for k, v in row.items() if k}
    except csv.Error as error:
        raise FileRefused(f"{path}: not readable as CSV: {error}.") from None


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Row]]:
    try:
        rows = msgspec.json.decode(text, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FileRefused(f"{path}: expected a JSON list of objects; {json_trouble(text) or error}.") from None
    return iter(enumerate(rows, 1))


def _markdown(file: Path, root: Path) -> Row:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileUnreadable(f"{file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise FileRefused(f"{file}: not UTF-8 text; save it as UTF-8.") from None
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
        raise ValueError(f"{column!r} is {'empty' if column in row else 'missing'}.")
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
        raise ValueError(f"{column!r} holds {text!r}, which is no ISO 8601 time.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
