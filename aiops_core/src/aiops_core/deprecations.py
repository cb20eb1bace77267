"""Every deprecation of this package as a constant: what, since when, what to use instead."""

from __future__ import annotations


class AiopsDeprecationWarning(DeprecationWarning):
    """A plugin uses something that a later version of aiops-core removes."""


DEPRECATIONS: tuple[AiopsDeprecationWarning, ...] = ()
"""The warnings in force. A rename stands here for two minor releases before the old name goes."""
