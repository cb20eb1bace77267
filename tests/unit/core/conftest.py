"""Fake installed distributions: real dist-info folders on the import path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from textwrap import dedent

import pytest


class Site:
    """A folder on the import path into which distributions are installed."""

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self.folder = folder

    def install(
        self, name: str, source: str, *, version: str = "1.0", plugin: str | None = None, target: str | None = None
    ) -> str:
        """Install a distribution of one module and return the module's name.

        Args:
            name: The distribution's name.
            source: The module's source, after imports of ``aiops_core`` and its specs.
            version: The distribution's version.
            plugin: The entry point's name, the distribution's by default.
            target: What the entry point names, the module by default.
        """
        module = f"module_of_{name.replace('-', '_')}"
        head = "import sys\nfrom aiops_core import *\nfrom aiops_core.testing.fakes import ScriptedBackend\n"
        (self.folder / f"{module}.py").write_text(head + dedent(source))
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[aiops]\n{plugin or name} = {target or module}\n")
        return module

    @property
    def found(self) -> list[Distribution]:
        """The installed distributions."""
        return list(distributions(path=[str(self.folder)]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give an empty site; its modules are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Site(tmp_path)
    for module in set(sys.modules) - before:
        if module.startswith("module_of_"):
            del sys.modules[module]
