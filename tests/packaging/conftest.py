"""The wheels of this repository."""

from tests.support.environments import wheels

__all__ = ["wheels"]
