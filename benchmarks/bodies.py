"""Webhook bodies of every shape, in bulk.

Hypothesis makes the parts: values, texts, bytes, and edits of real webhooks. Each part costs it a millisecond, so a batch
is made of a few hundred parts, put together by a seeded random in thousands of ways. The same seed makes the same bodies.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Value = TypeVar("Value")
Maker = Callable[[Random, "Parts"], bytes]

DRAWS = 50
TOGETHER = 8
MOST_EDITS = 3
MOST_NESTS = 400
JIRA: dict[str, Any] = {
    "webhookEvent": "jira:issue_created",
    "timestamp": 1_763_000_000_000,
    "user": {"accountId": "5b10", "displayName": "Kim"},
    "issue": {
        "id": "10001",
        "key": "OPS-1",
        "fields": {"summary": "VPN drops", "description": "again", "updated": "2026-11-23T09:00:00.000+0000"},
    },
}
SERVICEDESK: dict[str, Any] = {
    "ticket_id": "20683",
    "event": "created",
    "subject": "No audio",
    "last_updated": "1763000000000",
}
SAMPLES = (JIRA, SERVICEDESK)
ODD = ("", "\0", "null", "-1", "1e999", "OPS-1", "jira:issue_updated", "../..", "\u202e", "{{7*7}}", "x" * 5000)
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(ODD))
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**30), 2**63, 1e308]))
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(TEXTS, inner, max_size=6)),
    max_leaves=20,
)
ODD_TYPES = ("application/json; charset=utf-16", "text/plain", "*/*", "x")
FORM, PLAIN = "application/x-www-form-urlencoded", "application/json"
TYPES = ((PLAIN,) * 5 + (FORM, *ODD_TYPES), (FORM,) * 5 + (PLAIN, *ODD_TYPES))
"""What bodies are called, and what forms are: half of them rightly."""


class Body(NamedTuple):
    """A body, how it was made, and what its sender calls it."""

    kind: str
    content_type: str
    content: bytes


class Parts(NamedTuple):
    """What bodies are put together from; one sample in ten is the other ticketing tool's."""

    samples: Sequence[dict[str, Any]]
    values: Sequence[Any]
    texts: Sequence[str]
    pieces: Sequence[bytes]


def batch(first_seed: int, many: int) -> list[Body]:
    """Return so many bodies, of each kind about as many, in turn for Jira and for ServiceDesk Plus."""
    rng = Random(first_seed)
    pieces = st.binary(min_size=1, max_size=200)
    drawn = _drawn(VALUES, first_seed), _drawn(TEXTS, first_seed), _drawn(pieces, first_seed)
    turns = [Parts((*[mine] * 9, *SAMPLES), *drawn) for mine in SAMPLES]
    kinds = rng.choices(sorted(KINDS), k=many)
    return [
        Body(kind, rng.choice(TYPES[kind == "form"]), KINDS[kind](rng, turns[number % 2]))
        for number, kind in enumerate(kinds)
    ]


def _drawn(strategy: st.SearchStrategy[Value], first_seed: int) -> list[Value]:
    found: list[Value] = []

    @seed(first_seed)
    @settings(
        max_examples=DRAWS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=TOGETHER, max_size=TOGETHER))
    def keep(drawn: list[Value]) -> None:
        found.extend(drawn)

    keep()
    return found


def _webhook(rng: Random, parts: Parts) -> dict[str, Any]:
    """Return a real webhook with a few of its parts replaced, removed or added."""
    webhook = deepcopy(rng.choice(parts.samples))
    ticket = rng.randrange(10**6)  # each of another ticket, or few were stored
    if "issue" in webhook:
        webhook["issue"] |= {"id": str(ticket), "key": f"OPS-{ticket}"}
    else:
        webhook["ticket_id"] = str(ticket)
    for _ in range(rng.randint(1, MOST_EDITS)):
        place = rng.choice(_objects(webhook))
        name = rng.choice([*place, rng.choice(parts.texts)])
        if rng.random() < 0.7:  # noqa: PLR2004 - a removed part ends more edits than it makes
            place[name] = deepcopy(rng.choice(parts.values))
        else:
            place.pop(name, None)
    return webhook


def _objects(value: dict[str, Any]) -> list[dict[str, Any]]:
    found = [value]
    for inner in value.values():
        if isinstance(inner, dict):
            found += _objects(inner)
    return found


def _any_shape(rng: Random, parts: Parts) -> bytes:
    shaped = {rng.choice(parts.texts): rng.choice(parts.values) for _ in range(rng.randint(1, MOST_EDITS))}
    return json.dumps(rng.choice([rng.choice(parts.values), [*shaped.values()], shaped])).encode()


def _changed(rng: Random, parts: Parts) -> bytes:
    return json.dumps(_webhook(rng, parts)).encode()


def _nested(rng: Random, parts: Parts) -> bytes:
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'{"issue":{"fields":', b"}}")])
    depth, inner = rng.randint(1, MOST_NESTS), json.dumps(rng.choice(parts.values)).encode()
    return opening * depth + inner + closing * rng.choice([0, depth, depth + 1])


def _doubled(rng: Random, parts: Parts) -> bytes:
    return _changed(rng, parts)[:-1] + b"," + _changed(rng, parts)[1:]


def _cut(rng: Random, parts: Parts) -> bytes:
    whole = _changed(rng, parts)
    return whole[: rng.randrange(len(whole))]


def _surrogates(rng: Random, parts: Parts) -> bytes:
    lone = rng.choice(["\\ud800", "\\udfff", "\\u0000", "\\ud800\\u0000"])
    return _changed(rng, parts).replace(rng.choice([b"VPN", b"No", b"OPS", b"2", b"jira:"]), lone.encode())


def _mangled(rng: Random, parts: Parts) -> bytes:
    whole = bytearray(_changed(rng, parts))
    for _ in range(rng.randint(1, MOST_EDITS)):
        at = rng.randrange(len(whole) + 1)
        whole[at : at + rng.randint(0, 4)] = rng.choice(parts.pieces)[: rng.randint(0, 8)]
    return bytes(whole)


def _encoded(rng: Random, parts: Parts) -> bytes:
    text = json.dumps(_webhook(rng, parts), ensure_ascii=False)
    name = rng.choice(["utf-16", "utf-16-be", "utf-32", "latin-1", "utf-8-sig", "utf-7", "gb18030"])
    return rng.choice([b"", codecs.BOM_UTF8]) + text.encode(name, "replace")


def _form(rng: Random, parts: Parts) -> bytes:
    webhook = _webhook(rng, parts)
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in webhook.items()}
    return urlencode(rng.choice([fields, {"payload": json.dumps(webhook)}]), errors="replace").encode()


def _plain(rng: Random, parts: Parts) -> bytes:
    return b"".join(rng.choices(parts.pieces, k=rng.randint(0, MOST_EDITS)))


KINDS: Mapping[str, Maker] = {
    "any-shape": _any_shape,
    "changed": _changed,
    "nested": _nested,
    "doubled": _doubled,
    "cut": _cut,
    "surrogates": _surrogates,
    "mangled": _mangled,
    "encoded": _encoded,
    "form": _form,
    "bytes": _plain,
}
"""What bodies there are, from nearly right to nonsense: JSON of any shape; a real webhook with parts replaced, removed or
added, and that nested up to 400 deep, with every key twice, cut off, with lone surrogates and NUL, with bytes changed, in
other encodings, as a form; plain bytes."""
