"""What the lock and the distributions' metadata promise to whoever installs from them."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())
MEMBERS = WORKSPACE["tool"]["uv"]["workspace"]["members"]
LOCKS = ["requirements.lock", "requirements-uv.lock", "requirements-supply.lock"]


def distribution(member: str) -> str:
    """Return the name a member is published under."""
    return str(tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]["name"])


def direct_dependencies(metadata: dict[str, Any]) -> list[str]:
    """Return the requirements of a pyproject.toml, its extras and its dependency groups."""
    project = metadata.get("project", {})
    groups = [
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        *metadata.get("dependency-groups", {}).values(),
    ]
    return [requirement for group in groups for requirement in group if isinstance(requirement, str)]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_machine(lock: str) -> None:
    """Whoever installs uses their own package index, and no path of the machine that resolved it is left."""
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:|^-e|(?<![\w.])/\w+/", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pinned_package_has_hashes(lock: str) -> None:
    """Each requirement is pinned to one version and followed by at least one hash."""
    requirements = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    pinned = [entry for entry in requirements if not entry.startswith("#")]
    assert pinned
    assert [entry for entry in pinned if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_is_not_in_the_lock(member: str) -> None:
    """The distributions themselves are installed from the checkout, not pinned."""
    assert not re.search(rf"^{distribution(member)}\b", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


@pytest.mark.parametrize("member", [*MEMBERS, "."])
def test_every_direct_dependency_has_its_reason(member: str) -> None:
    """Beside each requirement stands a comment saying what it is for."""
    text = (ROOT / member / "pyproject.toml").read_text()
    found = direct_dependencies(tomllib.loads(text))
    assert found
    assert [name for name in found if not re.search(rf'"{re.escape(name)}", # \w.{{9,}}', text)] == []


def test_members_agree_with_the_makefile() -> None:
    """The Makefile installs exactly the workspace's members and keeps each out of the lock."""
    makefile = (ROOT / "Makefile").read_text()
    listed = re.search(r"^MEMBERS := (.*)$", makefile, re.MULTILINE)
    assert listed
    assert sorted(listed[1].split()) == sorted(MEMBERS)
    assert sorted(re.findall(r"--no-emit-package (\S+)", makefile)) == sorted(map(distribution, MEMBERS))


def test_uv_lock_is_not_tracked() -> None:
    """There is one lock; uv's own would be a second truth."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert "requirements.lock" in tracked
    assert [name for name in tracked if name.endswith("uv.lock") and name != "requirements-uv.lock"] == []
