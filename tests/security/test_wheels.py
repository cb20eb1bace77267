"""Wheels that would run by themselves or replace others' code, and installed plugins that do."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from tests.integration.cli.conftest import Aiops, aiops

from aiops_core.plugins import load_plugins
from aiops_host.trust.wheels import judge

__all__ = ["aiops"]

PLUGIN = (
    '"""A plugin."""\nfrom typing import TYPE_CHECKING\nNAME = "x"\nif TYPE_CHECKING:\n    import os\ndef hook(): ...\n'
)
FILES = {
    "acme/__init__.py": '"""Nothing."""\n',
    "acme/plugin.py": PLUGIN,
    "acme-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[aiops]\nacme = acme.plugin\n",
}
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
}


def wheel(folder: Path, more: dict[str, str], *, record: bool = True, changed: str = "") -> Path:
    """Write a wheel with the files."""
    path = folder / "acme-1.0-py3-none-any.whl"
    files = {**FILES, **more}
    with zipfile.ZipFile(path, "w") as archive:
        lines = []
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{name},sha256={digest},{len(text)}")
            archive.writestr(name, text + (" " if name == changed else ""))
        if record:
            archive.writestr("acme-1.0.dist-info/RECORD", "\n".join([*lines, "acme-1.0.dist-info/RECORD,,"]))
    return path


@pytest.mark.promise("plugins-gated", figure="13 kinds of wheels")
@pytest.mark.attack(31, figure="13 kinds of wheels")
@pytest.mark.parametrize("how", BAD)
def test_a_wheel_that_runs_by_itself_is_refused(tmp_path: Path, how: str) -> None:
    """Files Python runs at every start, files in others' places, and modules that act when imported are each named."""
    files, expected = BAD[how]
    found = judge(wheel(tmp_path, files))
    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.attack(31)
def test_a_changed_wheel_is_refused(tmp_path: Path) -> None:
    """A file that is not what the wheel's own record says, a wheel without one, and what is no wheel are refused."""
    assert judge(wheel(tmp_path, {})) == []
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
