"""Each wheel alone with core and the libraries it declares, in a fresh environment."""

import json
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.support.environments import MEMBERS, Wheel, fresh_environment

CORE = "aiops-core"
PLUGINS = sorted(set(MEMBERS) - {CORE})
HEAVY = {
    "litellm",
    "langgraph",
    "panel",
    "bokeh",
    "litestar",
    "piccolo",
    "asyncpg",
    "arq",
    "uvicorn",
    "httpx",
    "openai",
}
# The demo needs the applications it starts; an application needs no plugin and a plugin no application.
BESIDE = {"aiops-demo": set(PLUGINS) - {"aiops-demo"}}

WALK = """
import importlib, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
names = [name for name in names if not name.endswith("__main__") and ".migrations." not in name]
for name in names:
    importlib.import_module(name)
print(json.dumps(names))
"""
LOAD = """
import json
from dataclasses import asdict
from aiops_core import load_plugins
print(json.dumps([asdict(record) for record in load_plugins().records], default=str))
"""
LOADED = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

Python = Callable[..., object]


@pytest.fixture(scope="module", params=PLUGINS)
def member(request: pytest.FixtureRequest) -> str:
    """The name of one distribution other than core."""
    return str(request.param)


@pytest.fixture(scope="module")
def python(member: str, wheels: Mapping[str, Wheel], tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Run code in an environment of the member, core, what they declare, and nothing else of ours."""
    chosen = [wheels[name] for name in {CORE, member, *BESIDE.get(member, set())}]
    interpreter = fresh_environment(tmp_path_factory.mktemp("alone") / "environment", chosen)
    return lambda code, *arguments: run(interpreter, code, *arguments)


def run(interpreter: Path, code: str, *arguments: str) -> object:
    """Run code in an environment and return the JSON it prints."""
    done = subprocess.run([interpreter, "-I", "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def entry_points(wheel: Wheel) -> list[EntryPoint]:
    """Return what the wheel registers with the host."""
    return [point for point in wheel.metadata.entry_points if point.group == "aiops"]


def package_of(wheel: Wheel) -> str:
    """Return the name its modules are imported by."""
    (name,) = {path.partition("/")[0] for path in wheel.files if ".dist-info/" not in path}
    return name


def test_every_module_imports(python: Python, member: str, wheels: Mapping[str, Wheel]) -> None:
    """No module needs a library, or another distribution of ours, that its wheel does not declare."""
    package = package_of(wheels[member])
    names = python(WALK, package)
    assert isinstance(names, list)
    assert f"{package}.plugin" in names


def test_the_plugin_loads(python: Python, member: str, wheels: Mapping[str, Wheel]) -> None:
    """Core discovers the wheel's entry point, and it contributes something."""
    (point,) = entry_points(wheels[member])
    records = python(LOAD)
    assert isinstance(records, list)
    (record,) = [record for record in records if record["distribution"] == member]
    assert (record["name"], record["status"], record["error"]) == (point.name, "loaded", None)
    assert record["contributes"]


def test_the_plugin_module_is_light(python: Python, member: str, wheels: Mapping[str, Wheel]) -> None:
    """Listing the plugin loads none of the libraries that its work needs."""
    (point,) = entry_points(wheels[member])
    loaded = python(LOADED, point.module)
    assert isinstance(loaded, list)
    assert set(loaded) & HEAVY == set()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_wheel_is_complete(wheels: Mapping[str, Wheel], name: str) -> None:
    """A wheel holds every module of the repository, its types, its licence and its description."""
    files, metadata = wheels[name].files, wheels[name].metadata.metadata
    sources = MEMBERS[name] / "src"
    modules = {path.relative_to(sources).as_posix() for path in sources.rglob("*.py")}
    assert modules <= set(files)
    assert f"{package_of(wheels[name])}/py.typed" in files
    assert any(path.endswith("/licenses/LICENSE") for path in files)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert str(metadata.json["description"]).startswith("# ")
    assert [path for path in files if "__pycache__" in path or path.startswith("tests/")] == []


def test_the_demo_brings_its_seed_data(wheels: Mapping[str, Wheel]) -> None:
    """Tickets, articles, assets and live tickets of both tenants travel in the demo's wheel."""
    files = set(wheels["aiops-demo"].files)
    for tenant in ("harbor", "lindner"):
        folder = f"aiops_demo/seed/{tenant}"
        assert {f"{folder}/{name}" for name in ("tickets.csv", "assets.csv", "live.json", "profile.json")} <= files
        assert len([path for path in files if path.startswith(f"{folder}/knowledge/")]) > 10


def test_the_host_brings_its_migrations(wheels: Mapping[str, Wheel]) -> None:
    """The SQL that makes the tables, and every other file that is no module, travels in the host's wheel."""
    files, sources = wheels["aiops-host"].files, MEMBERS["aiops-host"] / "src"
    beside = {path.relative_to(sources).as_posix() for path in sources.rglob("*.sql")}
    assert {"aiops_host/data/migrations/sql/0001_core.sql"} <= beside <= set(files)
    (script,) = [point for point in wheels["aiops-host"].metadata.entry_points if point.group == "console_scripts"]
    assert (script.name, script.value) == ("aiops", "aiops_host.cli.main:main")


def test_the_agents_bring_their_prompts(wheels: Mapping[str, Wheel]) -> None:
    """The texts a model is given travel in the agents' wheel."""
    sources = MEMBERS["aiops-agents"] / "src"
    prompts = {path.relative_to(sources).as_posix() for path in sources.rglob("*.md")}
    assert prompts
    assert prompts <= set(wheels["aiops-agents"].files)


def test_core_alone(wheels: Mapping[str, Wheel], tmp_path: Path) -> None:
    """Core needs pluggy and msgspec only, and is importable whole with its testing extra."""
    names = {requirement for requirement in wheels[CORE].metadata.requires or () if "extra" not in requirement}
    assert names == {"pluggy>=1.7", "msgspec>=0.20"}
    bare = fresh_environment(tmp_path / "bare", [wheels[CORE]])
    loaded = run(bare, LOADED, CORE.replace("-", "_"))
    assert isinstance(loaded, list)
    assert {"pluggy", "msgspec"} <= set(loaded)
    tested = fresh_environment(tmp_path / "tested", [wheels[CORE]], [f"{CORE}[testing]"])
    assert run(tested, WALK, "aiops_core.testing")
