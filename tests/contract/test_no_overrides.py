"""The standard tests of the contracts run as they are, on every plugin."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from aiops_core.testing.contract import Contract, standard_tests
from aiops_core.testing.llm import LLMBackendContract, LLMBackendFaultsContract
from aiops_core.testing.ticketing import TicketingFaultsContract, TicketingToolContract
from aiops_core.testing.tools import ToolContract

CONTRACTS: list[type[Contract]] = [
    TicketingToolContract,
    TicketingFaultsContract,
    ToolContract,
    LLMBackendContract,
    LLMBackendFaultsContract,
]
MODULES = sorted(path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
EVASIONS = {"skip", "skipif", "xfail", "importorskip", "setattr", "delattr", "collect_ignore", "__test__"}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.__name__)
def test_standard_test_cannot_be_overridden(contract: type[Contract]) -> None:
    """Replacing a standard test, in the subclass or in a class mixed in before it, is refused by name."""
    tests = standard_tests(contract)
    assert len(tests) >= 4
    for name in tests:
        mixin = type("Mixin", (), {name: lambda self: None})
        for bases, namespace in (
            ((contract,), {name: lambda self: None}),
            ((contract,), {name: None}),
            ((mixin, contract), {}),
        ):
            with pytest.raises(TypeError, match=name):
                type("TestPlugin", bases, namespace)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.__name__)
def test_own_tests_may_be_added(contract: type[Contract]) -> None:
    """A subclass may add tests of other names and override what is no test."""
    added = type("TestPlugin", (contract,), {"test_something_of_its_own": lambda self: None, "missing_ticket_id": "0"})
    assert standard_tests(added) == standard_tests(contract)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_standard_test_is_evaded(module: Path) -> None:
    """The modules beside this one skip no test, expect none to fail and change no class from outside."""
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert names & EVASIONS == set()
