"""References that mark our notes: 16 random base32 characters and 2 check characters, shown as ``AIOPS-…``."""

from __future__ import annotations

import hashlib
import re
import secrets

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PREFIX = "AIOPS-"

_SHOWN = re.compile(rf"{PREFIX}([{ALPHABET}]{{18}})(?![A-Z0-9])")


def new_reference() -> str:
    """Return a fresh reference of 18 characters, 80 random bits and 10 check bits."""
    core = "".join(secrets.choice(ALPHABET) for _ in range(16))
    return core + _check(core)


def shown(reference: str) -> str:
    """Return the reference as a note's footer shows it."""
    return PREFIX + reference


def find_reference(text: str) -> str | None:
    """Return the first well-formed reference shown in ``text``, or ``None``."""
    return next((m[1] for m in _SHOWN.finditer(text) if _check(m[1][:16]) == m[1][16:]), None)


def _check(core: str) -> str:
    digest = hashlib.sha256(core.encode()).digest()
    return ALPHABET[digest[0] & 31] + ALPHABET[digest[1] & 31]
