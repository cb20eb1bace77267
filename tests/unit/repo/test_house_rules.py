"""Sizes and borders the linters do not measure."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEMBERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
MODULES = sorted(module for member in MEMBERS for module in (ROOT / member / "src").rglob("*.py"))
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50


def identify(path: Path) -> str:
    """Name a module by its path in the repository."""
    return str(path.relative_to(ROOT))


def test_the_modules_are_found() -> None:
    """The rules below look at every distribution."""
    assert [member for member in MEMBERS if not any(module.is_relative_to(ROOT / member) for module in MODULES)] == []


@pytest.mark.parametrize("module", MODULES, ids=identify)
def test_modules_and_functions_are_short(module: Path) -> None:
    """A module has at most 400 lines and a function at most 50."""
    text = module.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION]
    assert long == []


@pytest.mark.parametrize("module", MODULES, ids=identify)
def test_a_blind_except_is_a_marked_border(module: Path) -> None:
    """Catching every exception without raising it again carries an isolation comment with its reason."""
    text = module.read_text()
    lines = text.splitlines()
    unmarked = [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)))
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
        and not re.search(r"# isolation: \w", "\n".join(lines[node.lineno - 2 : node.lineno]))
    ]
    assert unmarked == []
