"""What a kind of probe is; the kinds there are stand in ``aiops_host.work.probe_registry``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from aiops_host.work.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a probe showed, in one sentence fit to show, or the JSON of ``history_imports.Progress``; it names no secret."""

    ok: bool
    sentence: str


ProbeFunction: TypeAlias = Callable[[Workshop, UUID, str], Awaitable[Outcome]]
"""Tries the target of a tenant; bounded in time by whoever calls it. An explained error it raises is the answer."""
