"""The depth of a JSON text, found without parsing it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from aiops_host.web.nesting import MAX_DEPTH, too_deep

LIMIT = 5


def nested(depth: int, text: str = "x") -> object:
    """Return a value ``depth`` levels deep, arrays and objects in turn."""
    value: object = text
    for level in range(depth):
        value = [1, value, "[{"] if level % 2 else {"a": value, "]": 2}
    return value


def depth_of(value: object) -> int:
    """Return how many arrays and objects are around the innermost value."""
    if isinstance(value, dict):
        return 1 + max((depth_of(v) for v in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(v) for v in value), default=0)
    return 0


VALUES = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=30,
)


@given(VALUES)
def test_json_is_judged_exactly(value: object) -> None:
    """Any JSON value is called too deep exactly when it is deeper than the limit, whatever its strings hold."""
    assert too_deep(json.dumps(value).encode(), LIMIT) == (depth_of(value) > LIMIT)


def test_the_limit_itself_is_allowed() -> None:
    """Sixty-four levels pass and sixty-five do not."""
    assert MAX_DEPTH == 64
    assert not too_deep(json.dumps(nested(MAX_DEPTH)).encode())
    assert too_deep(json.dumps(nested(MAX_DEPTH + 1)).encode())


def test_brackets_inside_strings_do_not_count() -> None:
    """A log pasted into a ticket may be full of brackets, quotes and backslashes."""
    text = '[[[{{{"\\' * 500
    assert not too_deep(json.dumps({"description": text}).encode())


def test_what_is_not_json_is_bounded_all_the_same() -> None:
    """Unclosed, crossed or endless brackets are called too deep before any parser sees them."""
    assert too_deep(b"[" * 65)
    assert too_deep(b'{"a":' * 20_000)
    assert too_deep(b"[" * 40 + b"[" * 40 + b"]" * 40)
    assert not too_deep(b"]" * 1000)
    assert not too_deep(b'"' + b"[" * 1000)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(body: bytes) -> None:
    """Bytes that are no text at all are judged without an error."""
    assert too_deep(body) in (True, False)
