"""Fresh virtual environments: built wheels of our own beside exactly the libraries they declare, and no other."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution, distribution
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
MEMBERS = {
    str(tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]["name"]): ROOT / member
    for member in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
}
BUILD = """
import os, sys
from hatchling.build import build_wheel
for project in sys.argv[2:]:
    os.chdir(project)
    build_wheel(sys.argv[1])
"""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A built wheel."""

    path: Path

    @property
    def name(self) -> str:
        """The distribution's name, as it is compared."""
        return canonicalize_name(self.path.name.partition("-")[0])

    @property
    def files(self) -> dict[str, bytes]:
        """Every file in it by its path."""
        with zipfile.ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}

    @property
    def metadata(self) -> Distribution:
        """What it says about itself."""
        (info,) = {name.partition("/")[0] for name in self.files if ".dist-info/" in name}
        return PathDistribution(zipfile.Path(self.path, f"{info}/"))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Wheel]:
    """The wheel of each of our distributions, by name."""
    return build_wheels(tmp_path_factory.mktemp("wheels"), MEMBERS.values())


def build_wheels(folder: Path, projects: Iterable[Path]) -> dict[str, Wheel]:
    """Build the wheels of projects; return them by name."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder), *map(str, projects)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = [Wheel(path) for path in folder.glob("*.whl")]
    return {wheel.name: wheel for wheel in built}


def fresh_environment(folder: Path, wheels: Iterable[Wheel], extras: Iterable[str] = ()) -> Path:
    """Make a virtual environment of the wheels and the libraries they declare; return its interpreter.

    The libraries are those of the environment the tests run in, and so the locked ones; their files are linked.

    Args:
        folder: Where to make it.
        wheels: What is installed.
        extras: Further requirements, such as an extra of one of the wheels.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    chosen = {wheel.name: wheel.metadata for wheel in wheels}
    for library in _libraries(chosen, extras):
        _link(library, site)
    paths = [str(wheel.path) for wheel in wheels]
    install = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--offline", "--no-index", "--no-config"]
    done = subprocess.run([*install, "--python", str(python), *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


def _libraries(own: Mapping[str, Distribution], extras: Iterable[str]) -> Iterator[Distribution]:
    """Yield every distribution that is not our own and that ours need, directly or through others."""
    todo = [Requirement(name) for name in (*own, *extras)]
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        found = own.get(name) or distribution(name)
        if name not in own and not any(name == known for known, _ in seen):
            yield found
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                needed = (Requirement(text) for text in found.requires or ())
                todo += [r for r in needed if r.marker is None or r.marker.evaluate({"extra": extra})]


def _link(library: Distribution, site: Path) -> None:
    """Link the files of an installed distribution, and what Python compiled of them, into ``site``."""
    for file in library.files or ():
        source = Path(str(library.locate_file(file)))
        if ".." in file.parts or not source.is_file():
            continue  # a script of the other environment's interpreter
        _link_file(source, site / file)
        if source.suffix == ".py":
            compiled = Path(cache_from_source(str(source)))
            if compiled.is_file():
                _link_file(compiled, site / file.parent / "__pycache__" / compiled.name)


def _link_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # another file system
