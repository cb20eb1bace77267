"""Wheels that would run by themselves or replace others' code, and installed plugins that do."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest
from tests.integration.cli.conftest import Aiops, aiops
from tests.support.plugin_wheels import FILES, PLUGIN, wheel

from aiops_core.plugins import load_plugins
from aiops_host.trust import wheels
from aiops_host.trust.wheels import judge

__all__ = ["aiops"]

BAD = {
    "pth": ({"acme.pth": "import os; os.system('true')"}, "acme.pth is run by Python at every start"),
    "pth in data": ({"acme-1.0.data/purelib/x.pth": "import x"}, "x.pth is run by Python at every start"),
    "sitecustomize": ({"sitecustomize.py": ""}, "sitecustomize.py is run by Python at every start"),
    "outside": ({"../../etc/cron.d/x": ""}, "would be written outside"),
    "data": ({"acme-1.0.data/data/etc/x": ""}, "beside the plugin's own package"),
    "script": ({"acme-1.0.data/scripts/python": ""}, "beside the plugin's own package"),
    "standard library": ({"ssl.py": ""}, "in the place of a module of Python itself"),
    "ours": ({"aiops_core/vault.py": ""}, "in the place of a package of aiops-core"),
    "call": ({"acme/plugin.py": PLUGIN + "print('hello')\n"}, "line 7, does something when it is imported"),
    "loop": ({"acme/plugin.py": "for x in (1,): pass\n"}, "line 1, does something"),
    "try": ({"acme/plugin.py": "try:\n    import evil\nexcept ImportError: pass\n"}, "line 1, does something"),
    "package": ({"acme/__init__.py": "exec('1')\n"}, "acme/__init__.py, line 1, does something"),
    "no python": ({"acme/plugin.py": "def ("}, "is no Python"),
    "standard library beside": ({"acme-1.0.data/purelib/ssl.py": ""}, "in the place of a module of Python itself"),
    "twice": ({"acme-1.0.data/purelib/acme/plugin.py": PLUGIN}, "acme/plugin.py is in it more than once"),
}


@pytest.mark.promise("plugins-gated", figure="15 kinds of wheels")
@pytest.mark.attack(31, figure="15 kinds of wheels")
@pytest.mark.parametrize("how", BAD)
def test_a_wheel_that_runs_by_itself_is_refused(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files Python runs at every start, files in others' places, and modules that act when imported are each named.

    Such a wheel is neither unpacked nor imported.
    """
    monkeypatch.setattr(wheels, "try_imports", lambda *_: pytest.fail("it was imported"))
    files, expected = BAD[how]
    found = judge(wheel(tmp_path, files))
    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.attack(31)
def test_a_changed_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not what the wheel's own record says, a wheel without one, and what is no wheel are refused."""
    assert judge(wheel(tmp_path, {})) == []
    monkeypatch.setattr(wheels, "try_imports", lambda *_: pytest.fail("it was imported"))
    assert "acme/plugin.py is not what" in judge(wheel(tmp_path, {}, changed="acme/plugin.py"))[0]
    assert judge(wheel(tmp_path, {}, record=False)) == ["It has no RECORD of its files."]
    (tmp_path / "x.whl").write_text("no zip")
    assert "cannot be read as a wheel" in judge(tmp_path / "x.whl")[0]


def test_the_command_says_what_it_found(tmp_path: Path, aiops: Aiops) -> None:
    """`aiops plugins check` ends with 1 where something was found, and lists it."""
    good = wheel(tmp_path, {})
    assert "nothing was found" in aiops("plugins", "check", good)
    (tmp_path / "bad").mkdir()
    bad = wheel(tmp_path / "bad", BAD["pth"][0])
    aiops("plugins", "check", good, bad, code=1)
    acting = wheel(tmp_path, {"acme/plugin.py": "X = __import__('os').system('true')\n"})
    aiops("plugins", "check", acting, code=1)
    assert "nothing was found" in aiops("plugins", "check", "--no-import", acting)


def _installed(folder: Path, *, pth: bool, editable: bool = False) -> Distribution:
    about = folder / "acme-1.0.dist-info"
    about.mkdir(parents=True)
    for name, text in FILES.items():
        if name.startswith("acme-1.0.dist-info"):
            (folder / name).write_text(text.replace("acme.plugin", "aiops_host.plugin"))
    (about / "RECORD").write_text("acme/plugin.py,,\nacme.pth,,\n" if pth else "acme/plugin.py,,\n")
    if editable:
        (about / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    return Distribution.at(about)


@pytest.mark.promise("plugins-gated")
@pytest.mark.attack(31)
def test_an_installed_plugin_with_a_pth_is_not_loaded(tmp_path: Path) -> None:
    """It is shown as failed with the file's name, and not imported; an editable install, which needs one, loads."""
    refused = load_plugins(found=[_installed(tmp_path / "bad", pth=True)])
    (record,) = refused.records
    assert (record.status, record.contributes) == ("failed", ())
    assert "it brings acme.pth, which Python runs at every start" in str(record.error)
    assert not refused.registry.commands
    for folder, pth, editable in (("good", False, False), ("own", True, True)):
        (loaded,) = load_plugins(found=[_installed(tmp_path / folder, pth=pth, editable=editable)]).records
        assert loaded.status == "loaded", loaded.error
