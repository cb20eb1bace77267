"""What msgspec finds wrong with a value, in words for people: they follow the name of the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.inspect import (
    DictType,
    EnumType,
    ListType,
    LiteralType,
    Metadata,
    StructType,
    Type,
    UnionType,
    VarTupleType,
)

_ADDRESS = "^https?://"
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
    "uuid": "an id",
    "datetime": "a time",
    "date": "a date",
}
_COUNTED = {"str": ("character", "characters"), "array": ("entry", "entries"), "object": ("field", "fields")}
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_SHAPES = {
    "Invalid UUID": "must be an id such as 3f0c2a52-7d0e-4f0e-9b53-0c5a1f6a2d11.",
    "Invalid RFC3339 encoded datetime": "must be a time such as 2026-11-20T10:00:00Z.",
    "Invalid RFC3339 encoded date": "must be a date such as 2026-11-20.",
}
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.+)`", re.DOTALL)
_KIND = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_LENGTH = re.compile(r"Expected `(str|array|object)` of length (>=|<=) (\d+)")
_BOUND = re.compile(r"Expected `(?:int|float)` (>=|<=|>|<) (\S+)")
_PATTERN = re.compile(r"Expected `str` matching regex (['\"])(.*)\1", re.DOTALL)


def explained(what: str, path: str, meant: Type) -> tuple[str, str]:
    """Return the path of the field and the rest of a sentence about it, for what msgspec says of ``path``.

    ``meant`` is what the whole value should be. Words that are not msgspec's, such as those of a Struct that refuses
    itself, are returned as they are.
    """
    there = list(_types_at(meant, re.findall(r"[^.\[\]]+", path)))
    if found := _FIELD.fullmatch(what):
        whole = f"{path}.{found[2]}" if path else found[2]
        return whole, "this field is needed." if found[1] == "missing required" else _unknown(there)
    if what.startswith("Invalid enum value"):
        return path, f"must be one of: {', '.join(_allowed(there))}."
    if found := _PATTERN.fullmatch(what):
        return path, _of_form(found[2], there)
    return path, _SHAPES.get(what) or _measured(what)


def _types_at(meant: Type, path: Sequence[str]) -> Iterator[Type]:
    """Yield what may stand at a path such as ``models``, ``0``; a type that has a description before what it describes."""
    match meant:
        case Metadata(type=inner):
            if not path:
                yield meant
            yield from _types_at(inner, path)
        case UnionType(types=types):
            for inner in types:
                yield from _types_at(inner, path)
        case _ if not path:
            yield meant
        case StructType(fields=fields):
            for field in fields:
                yield from _types_at(field.type, path[1:]) if field.encode_name == path[0] else ()
        case ListType(item_type=item) | VarTupleType(item_type=item) | DictType(value_type=item):
            yield from _types_at(item, path[1:])


def _measured(what: str) -> str:
    if found := _KIND.fullmatch(what):
        return f"must be {_kinds(found[1])}, not {_kinds(found[2])}."
    if found := _LENGTH.fullmatch(what):
        return _of_length(found[1], found[2], int(found[3]))
    if found := _BOUND.fullmatch(what):
        return f"must be {_BOUNDS[found[1]]} {found[2].removesuffix('.0')}."
    return what


def _unknown(meant: Sequence[Type]) -> str:
    known = dict.fromkeys(f.encode_name for one in meant if isinstance(one, StructType) for f in one.fields)
    return f"there is no such field; there are: {', '.join(known) or 'none'}."


def _allowed(meant: Sequence[Type]) -> list[str]:
    found: list[Any] = []
    for one in meant:
        if isinstance(one, LiteralType):
            found += one.values
        elif isinstance(one, EnumType):
            found += [member.value for member in one.cls]
    return [str(value) for value in found]


def _kinds(named: str) -> str:
    kinds = [kind for kind in named.split(" | ") if kind != "null"] or ["null"]
    return " or ".join(dict.fromkeys(_KINDS.get(kind, kind) for kind in kinds))


def _of_length(kind: str, bound: str, length: int) -> str:
    if (bound, length) == (">=", 1):
        return "must not be empty."
    return f"must have {_BOUNDS[bound]} {length} {_COUNTED[kind][length != 1]}."


def _of_form(pattern: str, meant: Sequence[Type]) -> str:
    if pattern.startswith(_ADDRESS):
        return "must begin with http:// or https:// and a host's name, without user, '?' or '#'."
    examples = [
        e for one in meant if isinstance(one, Metadata) for e in (one.extra_json_schema or {}).get("examples", ())
    ]
    return f"must look like {examples[0]}." if examples else f"must have the form {pattern}"
