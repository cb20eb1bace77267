"""Forms made from JSON schemas, and what was entered into them as values of the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any, cast

import msgspec

from aiops_admin.safe import Node, h

MAX_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a schema. ``path`` has dots; ``kind`` is text, secret, choice, flag, number or list."""

    path: str
    title: str
    description: str
    kind: str
    required: bool
    default: Any = None
    choices: tuple[str, ...] = ()

    @property
    def simple(self) -> bool:
        """Whether most people have to think about it."""
        return self.required or self.kind == "secret"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A dialog that is open: which, what was refused about it, and per field."""

    what: str
    refusal: str | None = None
    wrong: Mapping[str, str] = made_by(default_factory=dict)


def entered(value: str) -> dict[str, str]:
    """Return what was entered into a form, as the browser sent it; empty for anything else."""
    try:
        return msgspec.json.decode(value, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def fields_of(schema: Mapping[str, Any]) -> list[Field]:
    """Return the fields of a configuration's schema in their order; what no form can hold keeps its default."""
    return list(_fields(schema, schema, ""))[:MAX_FIELDS]


def values_of(fields: list[Field], given: Mapping[str, str]) -> dict[str, Any]:
    """Return what was entered as values; what was left as it is by default is left out."""
    values: dict[str, Any] = {}
    for field in fields:
        value = _value(field, given)
        if value is None or value == field.default:
            continue
        _put(values, field.path, value)
    return values


def changes_of(fields: list[Field], given: Mapping[str, str], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs from the present configuration, by the names of its outermost fields."""
    wanted: dict[str, Any] = {}
    for field in fields:
        value = _value(field, given)
        if field.kind == "secret" and value is None:
            continue
        _put(wanted, field.path, value)
    before: dict[str, Any] = {}
    for field in fields:
        if field.kind != "secret":
            present = _at(now, field.path)
            _put(before, field.path, field.default if present is None else present)
    return {name: value for name, value in wanted.items() if value != before.get(name)}


def form_fields(fields: list[Field], wrong: Mapping[str, str], now: Mapping[str, Any] | None = None) -> list[Node]:
    """Return inputs for the fields, those most people leave alone folded away; ``now`` is the present configuration."""
    last = max((place for place, field in enumerate(fields) if field.simple), default=len(fields))
    shown, folded = fields[: last + 1], fields[last + 1 :]
    nodes = [_input(field, wrong.get(field.path), now) for field in shown]
    if folded:
        is_open = any(field.path in wrong for field in folded)
        more = [_input(field, wrong.get(field.path), now) for field in folded]
        nodes.append(h("details", h("summary", "More settings"), *more, class_="more", open=is_open, key="more"))
    return nodes


def labelled(label: str, control: Node, *, hint: str = "", wrong: str | None = None) -> Node:
    """Return a named control with its label, its hint, and what is wrong with it."""
    element = cast("dict[str, Any]", control)
    id_ = f"field-{element['a']['name']}"
    told = {"id": id_, "aria-invalid": "true"} if wrong else {"id": id_}
    return h(
        "div",
        h("label", label, for_=id_),
        {**element, "a": element["a"] | told},
        h("small", hint) if hint else None,
        h("small", wrong[:1].upper() + wrong[1:], class_="wrong", role="alert") if wrong else None,
        class_="field",
    )


def problem(text: str | None) -> Node | None:
    """Return why the last wish was refused."""
    return h("p", text, class_="notice tone-error", role="alert") if text else None


def send_or_cancel(name: str) -> Node:
    """Return the buttons below a dialog's form."""
    return h(
        "div",
        h("button", name, type="submit", class_="primary"),
        h("button", "Cancel", type="button", data_action="cancel"),
        class_="buttons",
    )


def _fields(schema: Mapping[str, Any], whole: Mapping[str, Any], above: str) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, described in schema.get("properties", {}).items():
        meaning = _resolved(described, whole)
        path = f"{above}.{name}" if above else name
        if meaning.get("type") == "object" and "properties" in meaning:
            yield from _fields(meaning, whole, path)
        elif (kind := _kind(meaning)) is not None:
            yield Field(
                path=path,
                title=str(described.get("title", name)),
                description=str(described.get("description", "")),
                kind=kind,
                required=name in required,
                default=described.get("default"),
                choices=tuple(str(c) for c in meaning.get("enum", ()) if c is not None),
            )


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a schema means: behind a reference, and without the choice of leaving it out."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _resolved(whole.get("$defs", {}).get(name, {}), whole)
    choices = [c for c in schema.get("anyOf", ()) if c.get("type") != "null"]
    return _resolved(choices[0], whole) if len(choices) == 1 else schema


def _kind(meaning: Mapping[str, Any]) -> str | None:
    if "enum" in meaning:
        return "choice"
    match meaning.get("type"):
        case "string":
            return "secret" if meaning.get("writeOnly") else "text"
        case "boolean":
            return "flag"
        case "integer" | "number":
            return "number"
        case "array" if meaning.get("items", {}).get("type") == "string" or "enum" in meaning.get("items", {}):
            return "list"
    return None


def _value(field: Field, given: Mapping[str, str]) -> Any:
    text = given.get(field.path, "").strip()
    if field.kind == "flag":
        return field.path in given
    if field.kind == "list":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if not text:
        return None
    if field.kind == "number":
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text
    return text


def _input(field: Field, wrong: str | None, now: Mapping[str, Any] | None) -> Node:
    value = _at(now, field.path) if now is not None and field.kind != "secret" else None
    known = value if value is not None else "" if field.default is None else field.default
    name = f"{field.title}{' (needed)' if field.required else ''}"
    control = _control(field, known)
    hint = field.description
    if field.kind == "list":
        hint = f"{hint} One per line.".strip()
    if field.kind == "secret" and now is not None:
        hint = f"{hint} Kept sealed; empty keeps the one there is.".strip()
    return labelled(name, control, hint=hint, wrong=wrong)


def _control(field: Field, known: Any) -> Node:
    if field.kind == "choice":
        options = [h("option", c, value=c, selected=c == known) for c in field.choices]
        if not field.required and field.default is None:
            options.insert(0, h("option", "—", value=""))
        return h("select", *options, name=field.path)
    if field.kind == "flag":
        return h("input", type="checkbox", name=field.path, checked=bool(known))
    if field.kind == "list":
        return h("textarea", "\n".join(known or ()), name=field.path, rows=2, spellcheck="false")
    kinds = {"secret": "password", "number": "number"}
    filling = "new-password" if field.kind == "secret" else "off"
    return h(
        "input",
        type=kinds.get(field.kind, "text"),
        name=field.path,
        value=None if field.kind == "secret" else known,
        autocomplete=filling,
        spellcheck="false",
    )


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *above, name = path.split(".")
    for part in above:
        values = values.setdefault(part, {})
    values[name] = value


def _at(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for part in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found
