"""What an OpenAPI document says can be asked, and the smallest body that fits its schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

METHODS = ("get", "post", "put", "patch", "delete")
TEXTS = ("x", "xx-12345", "someone@example.com", "https://example.com", "x" * 12, "0" * 32, "2026-11-23T00:00:00Z")


class Operation(NamedTuple):
    """A method of a path; ``parameters`` are by place and name, ``body`` is the schema of a JSON body."""

    method: str
    path: str
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"{self.method.upper()} {self.path}"

    def parameters(self, place: str) -> dict[str, Mapping[str, Any]]:
        """Return the schemas of the parameters in ``path``, ``query``, ``header`` or ``cookie``."""
        return {p["name"]: p.get("schema", {}) for p in self.spec.get("parameters", []) if p["in"] == place}

    @property
    def needed(self) -> dict[str, Mapping[str, Any]]:
        """The schemas of the query's parameters that cannot be left out."""
        found = [p for p in self.spec.get("parameters", []) if p["in"] == "query" and p.get("required")]
        return {p["name"]: p.get("schema", {}) for p in found}

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The schema of its JSON body, if it takes one."""
        content = self.spec.get("requestBody", {}).get("content", {})
        return content["application/json"]["schema"] if "application/json" in content else None


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield every operation of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method, path, item[method])


def smallest(schema: Mapping[str, Any], document: Mapping[str, Any], id_: str) -> Any:
    """Return the smallest value that fits a schema, with ``id_`` wherever an id may stand."""
    schema = _chosen(schema, document)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "object")
    kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = {n: p for n, p in properties.items() if n in schema.get("required", ()) or _takes_id(p)}
        return {name: smallest(value, document, id_) for name, value in wanted.items()}
    if kind == "array":
        item = schema.get("items", {})
        return [smallest(item, document, id_)] * max(schema.get("minItems", 0), int(_takes_id(item)))
    if kind == "string":
        return id_ if schema.get("format") == "uuid" else _text(schema)
    return {"integer": max(1, schema.get("minimum", 1)), "number": schema.get("minimum", 1.0), "boolean": False}.get(
        kind
    )


def _chosen(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema a reference or a choice leads to; of choices the first that is not null."""
    if "$ref" in schema:
        return _chosen(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    choices = schema.get("oneOf", schema.get("anyOf", ()))
    chosen = next((choice for choice in choices if choice.get("type") != "null"), None)
    return schema if chosen is None else _chosen(chosen, document)


def _takes_id(schema: Mapping[str, Any]) -> bool:
    choices = schema.get("oneOf", schema.get("anyOf", ()))
    return schema.get("format") == "uuid" or any(_takes_id(choice) for choice in choices)


def _text(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 10**6)
    fits = [t for t in TEXTS if least <= len(t) <= most and re.search(schema.get("pattern", ""), t)]
    return fits[0] if fits else "x" * least
