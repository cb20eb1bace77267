"""The list of checks and the rule about skipped tests."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEFAULT = ["lint", "imports", "e2e", "integration", "browser", "unit", "security", "types", "contract", "docs"]
APART = ["py312", "py313", "packaging", "vulnerabilities", "sbom", "mutation"]

SKIPPING = """
import pytest

def test_skips():
    pytest.skip("needs the system package nothing")

def test_runs():
    assert True

@pytest.mark.xfail(reason="known", strict=True)
def test_is_known_to_fail():
    raise ValueError
"""


def test_tox_names_every_check() -> None:
    """The default list holds every check of the shared environment; what needs its own environment stands apart."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini")
    named = [name.strip() for name in settings["tox"]["env_list"].split(",")]
    assert named == DEFAULT
    assert all(f"testenv:{name}" in settings for name in APART)


def test_every_folder_of_tests_is_run_by_a_check() -> None:
    """A folder of tests nobody runs would pass for ever."""
    folders = {file.relative_to(ROOT / "tests").parts[0] for file in (ROOT / "tests").rglob("test_*.py")}
    assert folders <= {*DEFAULT, *APART}


@pytest.mark.parametrize(("setting", "code"), [("1", 1), ("", 0)], ids=["forbidden", "allowed"])
def test_a_skipped_test_fails_the_run_where_forbidden(tmp_path: Path, setting: str, code: int) -> None:
    """With AIOPS_FAIL_ON_SKIP=1 a skipped test fails by name and reason; otherwise the run passes."""
    (tmp_path / "test_example.py").write_text(SKIPPING)
    (tmp_path / "conftest.py").symlink_to(ROOT / "tests" / "conftest.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)],
        env={**os.environ, "AIOPS_FAIL_ON_SKIP": setting},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stdout
    named = "test_skips was skipped and AIOPS_FAIL_ON_SKIP=1 forbids it: Skipped: needs the system package nothing"
    assert (named in done.stdout) == (setting == "1")
