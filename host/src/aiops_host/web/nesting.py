"""How deep a JSON text is nested, found without parsing it."""

from __future__ import annotations

import re

MAX_DEPTH = 64

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)
_SAME_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")


def too_deep(body: bytes, limit: int = MAX_DEPTH) -> bool:
    """Return whether arrays and objects are nested deeper than ``limit``; brackets inside strings do not count.

    A balanced text is judged exactly. One that is not JSON anyway may be called too deep early. Each pass takes the
    innermost pairs away, so a parser never meets what would exhaust its stack.
    """
    brackets = _STRING.sub(b"", body).translate(_SAME_BRACKETS, _NO_BRACKETS)
    passes = 0
    while b"[]" in brackets:
        passes += 1
        if passes > limit:
            return True
        brackets = brackets.replace(b"[]", b"")
    return passes + brackets.count(b"[") > limit
