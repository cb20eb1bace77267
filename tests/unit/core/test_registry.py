"""The registry of contributions."""

from __future__ import annotations

import pytest

from aiops_core import CommandSpec, LLMBackendSpec, PluginConflict, Registry, UnknownContribution, lookup
from aiops_core.testing.fakes import ScriptedBackend


def backend(name: str) -> LLMBackendSpec:
    """Return a record of the name."""
    return LLMBackendSpec(name=name, title=name.title(), factory=lambda _config, _services: ScriptedBackend())


def test_kinds_have_their_own_names() -> None:
    """One name may stand for one record of each kind."""
    command = CommandSpec(name="local", help="Say hello", target="hello:main")
    registry = Registry([("a 1", backend("local")), ("b 2", command)])
    assert registry.llm_backends["local"].title == "Local"
    assert registry.commands["local"] is command
    assert registry.provenance(command) == "b 2"
    assert not registry.tools
    assert not registry.agents
    assert not registry.ticketing_tools


def test_registry_is_read_only() -> None:
    """Nothing can be added to a registry once it is made."""
    registry = Registry([("a 1", backend("local"))])
    with pytest.raises(TypeError):
        registry.llm_backends["other"] = backend("other")  # type: ignore[index]


def test_all_conflicts_are_told_together() -> None:
    """Every name that has two providers is listed, with both."""
    pairs = [("a 1", backend("x")), ("b 2", backend("x")), ("a 1", backend("y")), ("c 3", backend("y"))]
    with pytest.raises(PluginConflict, match=r"'x' comes from both a 1 and b 2; .*'y' comes from both a 1 and c 3"):
        Registry(pairs)


def test_unknown_name_lists_the_known_ones() -> None:
    """Looking up a name that nobody provides says which names there are."""
    registry = Registry([("a 1", backend("y")), ("a 1", backend("x"))])
    with pytest.raises(UnknownContribution, match=r"'z'; there is: x, y\."):
        lookup(registry.llm_backends, "z")
    with pytest.raises(UnknownContribution, match=r"there is: none\."):
        lookup(registry.tools, "z")
    assert lookup(registry.llm_backends, "x").name == "x"
