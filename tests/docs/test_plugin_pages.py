"""The plugins on the documentation's pages work and pass the tests shown with them."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import msgspec
import pytest
from tests.docs.pages import PLUGINS, blocks
from uv import find_uv_bin

from aiops_core import AiopsError, Evidence, RunBudget, errors, load_plugins

PAGES = {
    "ticketing-tools.md": "ticketing tool acme",
    "tools.md": "tool runbooks",
    "llm-backends.md": "LLM backend acme-llm",
    "agents.md": "agent listing",
}


def written(page: str, folder: Path) -> list[str]:
    """Write the page's files under the names in their first lines; return these."""
    text = (PLUGINS / page).read_text()
    names: list[str] = []
    for code in blocks(text) + blocks(text, "toml"):
        names.append(code.partition("\n")[0].removeprefix("# "))
        (folder / names[-1]).write_text(code)
    return names


def installing(folder: Path, target: Path) -> list[str]:
    """Return the command of the page on installing that needs no index, for the folder and into the target."""
    shown = (PLUGINS / "installing.md").read_text()
    (line,) = [line for block in blocks(shown, "sh") for line in block.splitlines() if "--no-deps" in line]
    words = {".venv/bin/uv": find_uv_bin(), ".venv/bin/python": sys.executable, "~/acme-runbooks": str(folder)}
    command = [words.pop(word, word) for word in line.split()]
    assert not words
    return [*command, "--offline", "--target", str(target)]


@pytest.mark.parametrize("page", PAGES)
def test_page_has_plugin_and_test(page: str) -> None:
    """The page begins with the plugin and ends with its test; nothing on it is left unexecuted."""
    text = (PLUGINS / page).read_text()
    assert [code.partition("\n")[0].startswith("# ") for code in blocks(text)] == [True, True]
    assert text.index("```python") < 300


@pytest.mark.parametrize("page", PAGES)
def test_plugin_loads_as_installed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built and installed from the page's files alone, the plugin loads and contributes what the page says."""
    folder, site = tmp_path / "project", tmp_path / "site"
    folder.mkdir()
    module = written(page, folder)[0].removesuffix(".py")
    command = installing(folder, site)
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    monkeypatch.syspath_prepend(str(site))
    (installed,) = distributions(path=[str(site)])
    (record,) = load_plugins(found=[installed]).records
    monkeypatch.delitem(sys.modules, module, raising=False)
    assert record.error is None
    assert record.contributes == (PAGES[page],)
    assert installed.requires == ["aiops-core<2,>=1"]
    assert {file.name for file in installed.files or () if file.suffix == ".py"} == {f"{module}.py"}


@pytest.mark.parametrize("page", PAGES)
def test_plugin_passes_its_test(page: str, tmp_path: Path) -> None:
    """In a folder with the page's files and nothing else, its test passes with nothing skipped and no warning."""
    written(page, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:randomly", "-p", "no:cacheprovider", "."]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\d+ passed in", result.stdout)


@pytest.mark.parametrize("page", PAGES)
def test_named_errors_exist(page: str) -> None:
    """The page has a table of errors, and each error it names exists."""
    text = (PLUGINS / page).read_text().partition("## Errors\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Z][A-Za-z]+)[`(]", text))
    assert named
    for name in named:
        assert issubclass(getattr(errors, name), AiopsError)


def test_page_names_what_evidence_needs() -> None:
    """The page of tools names every field of Evidence that has no default."""
    (line,) = re.findall(r"^- Each `Evidence` has(.*?);", (PLUGINS / "tools.md").read_text(), re.M | re.S)
    needed = {field.name for field in msgspec.structs.fields(Evidence) if field.required}
    assert needed == set(re.findall(r"`(\w+)`", line)) - {"article"}


def test_page_names_the_time_out_of_tools() -> None:
    """The page of tools says how long a call may take."""
    assert f" gives each call {RunBudget().tool_seconds:g} seconds" in (PLUGINS / "tools.md").read_text()


def test_links_between_pages_lead_somewhere() -> None:
    """Each page links only to files that exist."""
    for page in PLUGINS.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
