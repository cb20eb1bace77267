"""Discovery and isolation of plugins."""

from __future__ import annotations

import gc
import re
import sys
import warnings

import pytest
from tests.unit.core.conftest import Site

from aiops_core import PluginConflict, PluginManager, RunFinished, hookspecs, load_plugins
from aiops_core.plugins import MAX_EXPLANATION, explain

GOOD = """
@hookimpl
def aiops_register_llm_backends():
    yield LLMBackendSpec(name="NAME", title="Good", factory=lambda config, services: ScriptedBackend())
"""
SPEC = 'LLMBackendSpec(name="bad", title="Bad", factory=ScriptedBackend)'
TOOL = (
    "import msgspec\n@hookimpl\ndef aiops_register_tools(): yield ToolSpec(**{'name': 'bad', 'title': 'Bad', 'description': 'Bad.',"
    "'args': msgspec.Struct, 'factory': ScriptedBackend} | CHANGE)"
)
BAD = {
    "raises at import": ("raise RuntimeError('no driver')", "RuntimeError: no driver"),
    "exits at import": ("sys.exit(3)", "SystemExit: 3"),
    "cancels at import": ("import asyncio; raise asyncio.CancelledError()", "CancelledError"),
    "has a syntax error": ("def (", "SyntaxError"),
    "raises what cannot be printed": (
        "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute()",
        "Mute",
    ),
    "unknown hook": (
        "@hookimpl\ndef aiops_register_toolz(): return []",
        "TypeError: unknown hook 'aiops_register_toolz'; the hooks are aiops_register_ticketing_tools, ",
    ),
    "wrong argument name": ("@hookimpl\ndef aiops_on_run_finished(evnt): pass", "evnt"),
    "lazy generator raises": (
        f"@hookimpl\ndef aiops_register_llm_backends():\n    yield {SPEC}\n    raise KeyError('late')",
        "KeyError: 'late'",
    ),
    "raises in the hook": ("@hookimpl\ndef aiops_register_tools(): raise OSError('disk')", "OSError: disk"),
    "exits in the hook": ("@hookimpl\ndef aiops_register_tools(): sys.exit('bye')", "SystemExit: bye"),
    "wrong record": (
        f"@hookimpl\ndef aiops_register_tools(): return [{SPEC}]",
        "aiops_register_tools must yield ToolSpec, not LLMBackendSpec",
    ),
    "not an iterable": ("@hookimpl\ndef aiops_register_tools(): return 7", "iterable of ToolSpec, not int"),
    "a text": ("@hookimpl\ndef aiops_register_tools(): return 'weather'", "iterable of ToolSpec, not str"),
    "nothing returned": (f"@hookimpl\ndef aiops_register_llm_backends(): [{SPEC}]", "LLMBackendSpec, not NoneType"),
    "async hook": ("@hookimpl\nasync def aiops_register_tools(): return []", "must be a plain function, not async"),
    "async generator hook": ("@hookimpl\nasync def aiops_register_tools():\n    yield 1", "not async_generator"),
    "name is no word": (
        f"@hookimpl\ndef aiops_register_llm_backends(): return [{SPEC.replace('bad', '../x')}]",
        "'../x'",
    ),
    "factory is nothing to call": (
        f"@hookimpl\ndef aiops_register_llm_backends(): yield {SPEC.replace('ScriptedBackend', repr('acme.Llm'))}",
        "aiops_register_llm_backends: LLM backend 'bad' has the factory 'acme.Llm'; give the class",
    ),
    "name is no text": (
        f"@hookimpl\ndef aiops_register_llm_backends(): return [{SPEC.replace(chr(34) + 'bad' + chr(34), '5')}]",
        "5",
    ),
    "one name twice": (
        f"@hookimpl\ndef aiops_register_llm_backends(): return [{SPEC}, {SPEC}]",
        "LLM backend 'bad' comes from both",
    ),
}
BAD |= {
    f"tool with {change}": (TOOL.replace("CHANGE", change), f"aiops_register_tools: tool 'bad' has {message}")
    for change, message in {
        "{'factory': None}": "the factory None; give the class",
        "{'effect': 'delete'}": "the effect 'delete'; give 'read' or 'write'",
        "{'effect': ['read']}": "the effect ['read']; give 'read' or 'write'",
        "{'args': dict}": "the args <class 'dict'>; give a class that inherits from msgspec.Struct",
        "{'args': None}": "the args None; give a class",
        "{'description': ' '}": "no description; say what the tool finds",
        "{'description': None}": "no description; say what the tool finds",
    }.items()
}
EVENT = RunFinished(
    tenant_id="t",
    connection_id="c",
    ticketing_tool="paperdesk",
    ticket_id="3",
    delivery_id="d",
    run_id="r",
    agent="enhance",
    outcome="posted",
    milliseconds=1200.0,
)


def good(name: str) -> str:
    """Return the source of a sound plugin that contributes a backend of the name."""
    return GOOD.replace("NAME", name)


def test_loaded_plugin_is_known_with_its_origin(site: Site) -> None:
    """A loaded plugin is recorded with distribution, version and contributions, and its record is found by name."""
    site.install("good-llm", good("local"), version="2.1")
    manager = load_plugins(found=site.found)
    (record,) = manager.records
    assert (record.name, record.distribution, record.version) == ("good-llm", "good-llm", "2.1")
    assert (record.status, record.error, record.contributes) == ("loaded", None, ("LLM backend local",))
    spec = manager.registry.llm_backends["local"]
    assert manager.registry.provenance(spec) == record.provenance == "good-llm 2.1"


def test_installed_distributions_are_searched_by_default(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without further ado the distributions on the import path are looked through."""
    site.install("good-llm", good("local"))
    monkeypatch.setattr(sys, "path", [str(site.folder)])
    assert [record.name for record in load_plugins().records] == ["good-llm"]


@pytest.mark.parametrize("case", BAD)
def test_bad_plugin_is_a_fact_beside_working_ones(case: str, site: Site) -> None:
    """A plugin that does not load is recorded with its error, contributes nothing, and the others work."""
    source, message = BAD[case]
    site.install("a-good", good("first"))
    site.install("bad", source, version="0.9")
    site.install("z-good", good("last"))
    manager = load_plugins(found=site.found)
    first, bad, last = manager.records
    assert (bad.name, bad.status, bad.version, bad.contributes) == ("bad", "failed", "0.9", ())
    assert message in (bad.error or "")
    assert "\n" not in (bad.error or "")
    assert (first.status, last.status) == ("loaded", "loaded")
    assert sorted(manager.registry.llm_backends) == ["first", "last"]
    assert not manager.registry.tools
    assert manager.notify_run_finished(EVENT) == ()


def test_unknown_hook_is_answered_with_all_there_are(site: Site) -> None:
    """The error names every hook of the contract."""
    site.install("bad", BAD["unknown hook"][0])
    (record,) = load_plugins(found=site.found).records
    known = {name for name, hook in vars(hookspecs).items() if hasattr(hook, "aiops_spec")}
    assert set(re.findall(r"aiops_\w+", record.error or "")) == {*known, "aiops_register_toolz"}


def test_sound_tool_is_loaded(site: Site) -> None:
    """A tool whose record fits is contributed, one that writes too."""
    site.install("sound", TOOL.replace("CHANGE", "{'effect': 'write'}"))
    (record,) = load_plugins(found=site.found).records
    assert (record.error, record.contributes) == (None, ("tool bad",))


def test_missing_module_is_a_failed_plugin(site: Site) -> None:
    """An entry point that names no module, or nothing in it, is recorded as failed."""
    site.install("astray", "", target="module_of_nowhere")
    site.install("hollow", "plugin = None", target="module_of_hollow:plugin")
    records = load_plugins(found=site.found).records
    assert [record.status for record in records] == ["failed", "failed"]
    assert "module_of_nowhere" in (records[0].error or "")
    assert "None" in (records[1].error or "")


def test_interrupt_is_not_swallowed(site: Site) -> None:
    """Ctrl-C during an import ends the program."""
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins(found=site.found)


def test_async_hook_leaves_no_warning(site: Site) -> None:
    """The coroutine of an async hook is closed, so that no warning about it is left."""
    site.install("bad", "@hookimpl\nasync def aiops_register_tools(): return []")
    site.install("watch", "@hookimpl\nasync def aiops_on_run_finished(event): pass")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_plugins(found=site.found).notify_run_finished(EVENT)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_blocked_plugin_is_not_imported(site: Site) -> None:
    """A blocked plugin is recorded as blocked and its module never runs."""
    module = site.install("unwanted", good("local"))
    manager = load_plugins(blocked={"unwanted"}, found=site.found)
    assert [(record.name, record.status) for record in manager.records] == [("unwanted", "blocked")]
    assert module not in sys.modules
    assert not manager.registry.llm_backends


def test_two_distributions_of_one_plugin_name_refuse(site: Site) -> None:
    """Two distributions that register one plugin name stop the start; both and their versions are named."""
    site.install("first-dist", good("one"), version="1.2", plugin="weather")
    site.install("second-dist", good("two"), version="3.4", plugin="weather")
    with pytest.raises(PluginConflict, match=r"'weather'.*(first-dist 1\.2.*second-dist 3\.4|second.*first)"):
        load_plugins(found=site.found)


def test_two_plugins_of_one_contribution_refuse(site: Site) -> None:
    """Two plugins that provide one name of one kind stop the start; every such pair is named with its versions."""
    both = (
        good("shared")
        + """
@hookimpl
def aiops_register_commands():
    return [CommandSpec(name="tidy", help="Tidy up", target="tidy:main")]
"""
    )
    site.install("first-dist", both, version="1.2")
    site.install("second-dist", both, version="3.4")
    manager = load_plugins(found=site.found)
    with pytest.raises(PluginConflict) as conflict:
        _ = manager.registry
    assert "LLM backend 'shared' comes from both first-dist 1.2 and second-dist 3.4" in str(conflict.value)
    assert "command 'tidy' comes from both first-dist 1.2 and second-dist 3.4" in str(conflict.value)


def test_one_distribution_found_twice_is_one_plugin(site: Site) -> None:
    """A distribution that stands on the path twice, spelt either way, is no conflict."""
    site.install("good-llm", good("local"))
    info = site.folder / "good.llm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: good_LLM\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aiops]\ngood-llm = module_of_good_llm\n")
    manager = load_plugins(found=[*site.found, *site.found])
    assert [record.status for record in manager.records] == ["loaded"]


def test_unreadable_metadata_is_passed_over(site: Site) -> None:
    """A distribution whose metadata cannot be read does not keep the plugins from loading."""
    site.install("good-llm", good("local"))
    for name, content in (("torn", "[aiops]\nno equals sign"), ("nameless", "[aiops]\nx = module_of_good_llm\n")):
        info = site.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(content)
    manager = load_plugins(found=site.found)
    assert "good-llm" in [record.name for record in manager.records if record.status == "loaded"]


def test_observer_failure_is_its_own(site: Site) -> None:
    """Each observer is called alone: those that fail are named, the others see the event."""
    seen = "SEEN = []\n@hookimpl\ndef aiops_on_run_finished(event): SEEN.append(event.run_id)"
    first = site.install("a-watch", seen)
    site.install("b-raises", "@hookimpl\ndef aiops_on_run_finished(event): raise OSError('pager is down')")
    site.install("c-exits", "@hookimpl\ndef aiops_on_run_finished(event): sys.exit(1)")
    site.install("d-async", "@hookimpl\nasync def aiops_on_run_finished(event): pass")
    site.install("e-blocked", "raise AssertionError")
    last = site.install("z-watch", seen)
    failures = dict(load_plugins(blocked=["e-blocked"], found=site.found).notify_run_finished(EVENT))
    assert sorted(failures) == ["b-raises", "c-exits", "d-async"]
    assert failures["b-raises"] == "OSError: pager is down"
    assert sys.modules[first].SEEN == sys.modules[last].SEEN == ["r"]


def test_object_with_methods_is_a_plugin() -> None:
    """A plugin may be an object, and a manager starts empty."""

    class Plugin:
        """Contributes nothing of note."""

    manager = PluginManager()
    assert manager.records == ()
    assert manager.load("plain", Plugin, distribution="d", version="1").status == "loaded"


def test_explanation_is_one_bounded_line() -> None:
    """An error is explained in one line of bounded length; our own errors need no type before them."""
    assert explain(ValueError("two\nlines " * 500)).count("\n") == 0
    assert len(explain(ValueError("x" * 10_000))) < MAX_EXPLANATION + 50
    assert explain(PluginConflict()) == "Two installed plugins provide the same name."
    assert explain(ValueError()) == "ValueError"
