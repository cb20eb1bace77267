"""Addresses and machine-like names found in free text."""

from __future__ import annotations

import ipaddress
import re

_TOKEN = re.compile(r"[\w:%@.-]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_NAME = re.compile(rf"(?=.*[^\W\d_]){_LABEL}(?:\.{_LABEL})*")
_MIN_NAME = 3


def asset_keys(text: str) -> tuple[str, ...]:
    """Return the addresses and possible machine names in a text, each once, case folded.

    Addresses come first, then names with a digit, then names with a dash or a dot, so that a long pasted log
    does not push out what matters. Times, UUIDs, bare version numbers and e-mail addresses are no keys.
    """
    keys: dict[str, int] = {}
    for token in _TOKEN.findall(text):
        for key, rank in _keys_of(token):
            keys.setdefault(key, rank)
    return tuple(sorted(keys, key=lambda key: keys[key]))


def _keys_of(token: str) -> list[tuple[str, int]]:
    if "@" in token or _UUID.search(token):
        return []
    if address := _address(token):
        return [(address, 0)]
    names = (part.strip("._-").casefold() for part in token.split(":"))
    return [(n, 1 if any(c.isdigit() for c in n) else 2) for n in names if _is_name(n)]


def _address(token: str) -> str | None:
    """Return a normalised address; a zone, a port or punctuation after it is dropped."""
    bare = token.partition("%")[0].strip("._-")
    for candidate in (bare, bare.removesuffix(":"), bare.partition(":")[0] if bare.count(":") == 1 else ""):
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return str(mapped or address)
    return None


def _is_name(name: str) -> bool:
    marked = any(c.isdigit() or c in "-." for c in name)
    return marked and len(name) >= _MIN_NAME and _NAME.fullmatch(name) is not None
