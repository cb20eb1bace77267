"""The kinds of probes: what a worker tries for a person, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiops_host.data import history_imports
from aiops_host.trust import tenant_keys
from aiops_host.work import connection_probe, history_import, key_probe
from aiops_host.work.probe_kinds import ProbeFunction

KINDS: Mapping[str, ProbeFunction] = MappingProxyType(
    {
        "connection": connection_probe.tried,
        tenant_keys.PROBE: key_probe.tried,
        history_imports.PROBE: history_import.tried,
    }
)
"""One line per kind, such as ``"connection": connection_probe.tried``."""
