"""Every hook has its section with exact signature, promises and an example that runs."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest
from tests.docs.pages import PLUGINS, blocks, sections

from aiops_core import PluginManager, RunFinished, hookspecs

HOOKS = {
    name: function
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if hasattr(function, f"{hookspecs.PROJECT}_spec")
}
SECTIONS = sections(PLUGINS / "hooks.md")
EVENT = RunFinished(
    tenant_id="t",
    connection_id="c",
    ticketing_tool="acme",
    ticket_id="7",
    delivery_id="d",
    run_id="r",
    agent="enhance",
    outcome="posted",
    milliseconds=1234.5,
)


def test_page_has_every_hook_and_no_other() -> None:
    """There is a section for each hook, in the order of their calls."""
    declared = [line.split("(")[0][4:] for line in inspect.getsource(hookspecs).splitlines() if line.startswith("def ")]
    assert set(HOOKS) == set(declared)
    assert list(SECTIONS) == declared


@pytest.mark.parametrize("hook", HOOKS)
def test_section_has_the_exact_signature(hook: str) -> None:
    """The section's first block is the hook's signature."""
    signature = str(inspect.signature(HOOKS[hook])).replace("'", "")
    assert blocks(SECTIONS[hook])[0] == f"def {hook}{signature}\n"


@pytest.mark.parametrize("hook", HOOKS)
def test_section_says_what_the_docstring_says(hook: str) -> None:
    """When the hook is called, what it may do and what a failure means stand in the section as in the docstring."""
    title, _, *facts = (inspect.getdoc(HOOKS[hook]) or "").splitlines()
    assert title.replace("``", "`") in SECTIONS[hook]
    assert {fact.split(":")[0] for fact in facts} >= {"Called", "May", "Returns", "On failure"}
    for fact in facts:
        assert f"- {fact.replace('``', '`')}\n" in SECTIONS[hook]


@pytest.mark.parametrize("hook", HOOKS)
def test_example_works(hook: str) -> None:
    """The section's example loads as a plugin, implements the hook and contributes, or observes, without an error."""
    module = ModuleType(f"example_of_{hook}")
    exec(blocks(SECTIONS[hook])[1], module.__dict__)  # noqa: S102 - our own documentation
    assert hasattr(module, hook)
    manager = PluginManager()
    record = manager.load("example", lambda: module, distribution="example", version="1")
    assert record.error is None
    assert len(record.contributes) == hook.startswith("aiops_register_")
    assert manager.notify_run_finished(EVENT) == ()
