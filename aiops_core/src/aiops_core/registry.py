"""The contributions of all loaded plugins by kind and name, read-only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from aiops_core.errors import AiopsError, PluginConflict
from aiops_core.specs import AgentSpec, CommandSpec, KeyProviderSpec, LLMBackendSpec, Spec, TicketingToolSpec, ToolSpec

SpecT = TypeVar("SpecT", TicketingToolSpec, ToolSpec, LLMBackendSpec, AgentSpec, KeyProviderSpec, CommandSpec)


class UnknownContribution(AiopsError):
    """No installed plugin provides the name asked for."""


class Registry:
    """Name to record, one mapping per kind. Made once from the contributions, then frozen."""

    def __init__(self, contributions: Iterable[tuple[str, Spec]]) -> None:
        """Sort ``(provenance, record)`` pairs by kind and name.

        Raises:
            PluginConflict: Two plugins provide one name of one kind; the message lists all such pairs.
        """
        owners: dict[tuple[str, str], str] = {}
        by_type: dict[type, dict[str, Spec]] = {}
        conflicts: list[str] = []
        for provenance, spec in contributions:
            key = (spec.kind, spec.name)
            if key in owners:
                conflicts.append(f"{spec.kind} {spec.name!r} comes from both {owners[key]} and {provenance}")
                continue
            owners[key] = provenance
            by_type.setdefault(type(spec), {})[spec.name] = spec
        if conflicts:
            raise PluginConflict("; ".join(conflicts) + ". Uninstall or block one of them.")
        self._by_type = by_type
        self._owners = owners

    @property
    def ticketing_tools(self) -> Mapping[str, TicketingToolSpec]:
        """Ticketing tools by name."""
        return self._of(TicketingToolSpec)

    @property
    def tools(self) -> Mapping[str, ToolSpec]:
        """Tools by name."""
        return self._of(ToolSpec)

    @property
    def llm_backends(self) -> Mapping[str, LLMBackendSpec]:
        """LLM backends by name."""
        return self._of(LLMBackendSpec)

    @property
    def agents(self) -> Mapping[str, AgentSpec]:
        """Agents by name."""
        return self._of(AgentSpec)

    @property
    def key_providers(self) -> Mapping[str, KeyProviderSpec]:
        """Key providers by name."""
        return self._of(KeyProviderSpec)

    @property
    def commands(self) -> Mapping[str, CommandSpec]:
        """Commands by name."""
        return self._of(CommandSpec)

    def provenance(self, spec: Spec) -> str:
        """Return the distribution and version that contributed the record."""
        return self._owners[(spec.kind, spec.name)]

    def _of(self, spec_type: type[SpecT]) -> Mapping[str, SpecT]:
        return MappingProxyType({n: s for n, s in self._by_type.get(spec_type, {}).items() if isinstance(s, spec_type)})


def lookup(records: Mapping[str, SpecT], name: str) -> SpecT:
    """Return the record called ``name``.

    Raises:
        UnknownContribution: There is none; the message lists the names there are.
    """
    try:
        return records[name]
    except KeyError:
        known = ", ".join(sorted(records)) or "none"
        raise UnknownContribution(f"No installed plugin provides {name!r}; there is: {known}.") from None
