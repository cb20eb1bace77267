"""Named moments of the delivery's way. Nothing happens at them; a bench may replace :func:`reached` before it starts us."""

from __future__ import annotations


def reached(name: str) -> None:
    """Do nothing. No setting or variable changes that."""
