"""``/openapi.json`` and ``/docs``: the API described, without a script and without the internet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get

from aiops_host.web.access import asks

METHODS = ("get", "post", "put", "patch", "delete")
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#1c2733;background:#fff}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid #d5dce4;text-transform:capitalize}
details{border:1px solid #d5dce4;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}summary{cursor:pointer}
code,pre{font:13px/1.4 ui-monospace,monospace}pre{background:#f4f6f8;padding:.6rem;overflow:auto;border-radius:4px}
.m{display:inline-block;min-width:3.5rem;font-weight:600;text-transform:uppercase}
.get{color:#0b5cad}.post{color:#0a7a3d}table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@get("/openapi.json", opt=asks("public"), include_in_schema=False)
async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the OpenAPI document."""
    return Response(msgspec.json.encode(_schema(request)), media_type=MediaType.JSON)


@get("/docs", opt=asks("public"), include_in_schema=False)
async def docs(request: Request[Any, Any, Any]) -> Response[str]:
    """Return the OpenAPI document as a page."""
    return Response(render(_schema(request)), media_type=MediaType.HTML, headers={"Content-Security-Policy": POLICY})


def render(schema: Mapping[str, Any]) -> str:
    """Return the page for an OpenAPI document; every text in it is escaped."""
    info = schema["info"]
    title = escape(f"{info['title']} {info['version']}")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    intro = f"<h1>{title}</h1><p>{escape(info.get('description', ''))}</p>"
    link = '<p><a href="openapi.json">openapi.json</a></p>'
    return "".join([head, intro, link, *_groups(schema), "<h2>Schemas</h2>", *_schemas(schema)])


def _schema(request: Request[Any, Any, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = request.app.openapi_schema.to_schema()
    return schema


def _groups(schema: Mapping[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(path, method, item[method]))
    for tag in sorted(groups):
        yield f"<h2>{escape(tag)}</h2>"
        yield from groups[tag]


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>"
        f"<code>{escape(_type(p.get('schema', {})))}</code><td>{escape(p.get('description', ''))}"
        for p in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {})
    answers = [f"<tr><td>{escape(status)}<td>{_answer(a)}" for status, a in operation.get("responses", {}).items()]
    return (
        f'<details><summary><span class="m {method}">{method}</span> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary') or '')}</summary><p>{escape(operation.get('description') or '')}</p>"
        + (f"<h4>Parameters</h4><table>{''.join(rows)}</table>" if rows else "")
        + (f"<h4>Body</h4><p>{_contents(body)}</p>" if body else "")
        + f"<h4>Answers</h4><table>{''.join(answers)}</table></details>"
    )


def _answer(answer: Mapping[str, Any]) -> str:
    return f"{escape(answer.get('description', ''))} {_contents(answer.get('content', {}))}"


def _contents(content: Mapping[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(_type(c.get('schema', {})))}</code> as {escape(media)}" for media, c in content.items()
    )


def _schemas(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, definition in sorted(schema.get("components", {}).get("schemas", {}).items()):
        shown = msgspec.json.format(msgspec.json.encode(definition), indent=2).decode()
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{escape(shown)}</pre></details>'


def _type(schema: Mapping[str, Any]) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema:
        return " or ".join(_type(s) for s in schema["oneOf"])
    if "enum" in schema:
        return " | ".join(str(v) for v in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("format") or schema.get("type") or "any"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
